// Package datasource makes of a data source what a driver connects by, for all who connect to one. It must not know what they
// do there.
package datasource

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"baton/internal/flow"
)

// Postgres is how to connect to a PostgreSQL data source, with a password unless it is empty. Texts travel as UTF-8, whatever
// the encoding of the database is, unless the data source says otherwise.
func Postgres(source *flow.DataSource, password string) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(postgresDSN(source))
	if err != nil {
		return nil, fmt.Errorf("the connection settings cannot be read: %w", err)
	}
	if password != "" {
		config.Password = password
	}
	for name, usual := range map[string]string{"application_name": "baton", "client_encoding": "UTF8"} {
		if config.RuntimeParams[name] == "" {
			config.RuntimeParams[name] = usual
		}
	}
	return config, nil
}

// postgresDSN returns the DSN or, of parts, one in keyword form.
func postgresDSN(source *flow.DataSource) string {
	if source.DSN != "" {
		return source.DSN
	}
	var b strings.Builder
	add := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s='%s' ", key, strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value))
		}
	}
	add("host", source.Host)
	if source.Port > 0 {
		add("port", strconv.Itoa(source.Port))
	}
	add("dbname", source.Database)
	add("user", source.User)
	for _, key := range slices.Sorted(maps.Keys(source.Options)) {
		add(key, source.Options[key])
	}
	return b.String()
}
