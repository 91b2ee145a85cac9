// Addresses of data sources.

package flow

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// PostgresDSN is the address of a PostgreSQL database in keyword form, or as it was given. The password is not in it.
func (d DataSource) PostgresDSN() string {
	if d.DSN != "" {
		return d.DSN
	}
	var b strings.Builder
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s='%s' ", key, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
		}
	}
	add("host", d.Host)
	if d.Port > 0 {
		add("port", strconv.Itoa(d.Port))
	}
	add("dbname", d.Database)
	add("user", d.User)
	for _, key := range slices.Sorted(maps.Keys(d.Options)) {
		add(key, d.Options[key])
	}
	return b.String()
}
