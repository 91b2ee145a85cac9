// What an approval asks.

package flow

import "strings"

// Approval is what an approval of a file asks of a person.
type Approval struct {
	Task      string
	Approvers []string // user:NAME or role:NAME; none: everybody who may steer runs
	Options   []string // what may be chosen
	Default   string   // the option that is chosen when nothing else is
	OnTimeout string
	Form      []FormField
}

// FormField is a field that whoever decides fills in.
type FormField struct {
	Name        string
	Type        string
	Default     *string // nil: it has none
	Required    bool
	Enum        []string
	Description string
}

// Users are the approvers that are named by the name of a token.
func (a Approval) Users() []string {
	users := make([]string, 0, len(a.Approvers))
	for _, who := range a.Approvers {
		if user, named := strings.CutPrefix(who, "user:"); named {
			users = append(users, user)
		}
	}
	return users
}
