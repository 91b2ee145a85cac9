// What a store refuses of documents.

package flow

// Refusal is something in a document that cannot be beside what is stored: a pool, a calendar that is not there.
type Refusal struct {
	Document int      // its place among those that were to be applied
	Path     []string // where it stands in the document
	Error    *Error
}

// RefusedErrors are all of them.
type RefusedErrors []Refusal

func (rs RefusedErrors) Error() string { return rs.errors().Error() }

// Unwrap lets errors.As find each of them.
func (rs RefusedErrors) Unwrap() []error { return rs.errors().Unwrap() }

func (rs RefusedErrors) errors() Errors {
	out := make(Errors, len(rs))
	for i, r := range rs {
		out[i] = r.Error
	}
	return out
}
