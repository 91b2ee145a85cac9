// kind: Project and kind: DataSource.

package spec

import (
	"net/url"
	"strings"

	"baton/internal/flow"
)

var projectKeys = newTable("a project",
	kindKey[flow.Project](kindProject),
	field("name", "Name, unique among projects.", asName, func(p *flow.Project) *string { return &p.Name }).must(),
	later[flow.Project]("renamed_from", "the project's name before"),
	field("description", "What it is for, for people.", asText, func(p *flow.Project) *string { return &p.Description }),
	field("params", "Parameters of every workflow of the project.", asPairs, func(p *flow.Project) *[]flow.Pair { return &p.Params }).alias("parameters"),
	field("weight", "What it weighs where tasks of several projects wait for places on workers: one of 3 gets three for each one of a project of 1.",
		defaulting(whole(1, flow.MaxProjectWeight), 1), func(p *flow.Project) *int { return &p.Weight }).alias("share", "priority"),
)

func (r *reader) project(doc value) *flow.Project {
	var p flow.Project
	projectKeys.read(r, doc, &p)
	if params, ok := doc.get("params"); ok {
		s := scope{reader: r, g: &graph{w: &workflow{}}, task: noTask - atStart}
		s.texts(params)
	}
	return &p
}

// The databases a data source may be.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
	mysql    = "mysql"
)

var dataSourceKeys = newTable("a data source",
	kindKey[flow.DataSource](kindDataSource),
	field("project", "Project it belongs to.", asName, func(d *flow.DataSource) *string { return &d.Project }),
	field("name", "Name that sql tasks give in `datasource`.", asName, func(d *flow.DataSource) *string { return &d.Name }).must(),
	later[flow.DataSource]("renamed_from", "the data source's name before"),
	field("type", "Kind of database.", oneOf(sqlite, postgres, mysql), func(d *flow.DataSource) *string { return &d.Type }).must(),
	field("dsn", "Address in the driver's form, without a password; instead of host, port, database, user and options.", asText, func(d *flow.DataSource) *string { return &d.DSN }).alias("url", "uri", "jdbcUrl"),
	field("host", "Host name or address.", asText, func(d *flow.DataSource) *string { return &d.Host }),
	field("port", "Port; the usual one of the type where it is left out.", whole(1, 65535), func(d *flow.DataSource) *int { return &d.Port }),
	field("database", "Name of the database; of sqlite, its file.", asText, func(d *flow.DataSource) *string { return &d.Database }).alias("db", "path"),
	field("user", "User to log in as.", asText, func(d *flow.DataSource) *string { return &d.User }).alias("username"),
	field("options", "Options of the driver, such as {sslmode: require}.", asLabels, func(d *flow.DataSource) *map[string]string { return &d.Options }).alias("other", "params"),
	field("password", "Where the worker finds the password: {env: NAME} or {file: PATH}. It is never in the file itself.", asPassword, func(d *flow.DataSource) **flow.Secret { return &d.Password }),
)

// asPassword says where a password is.
var asPassword = unwritten(pointer(asSecret), "a password is not written into the file; say where the worker finds it: {env: DB_PASSWORD} or {file: /run/secrets/db}")

// unwritten refuses a secret itself, which would end up in the store and in every export.
func unwritten[V any](s shape[V], remedy string) shape[V] {
	read := s.read
	s.read = func(r *reader, v value) (V, bool) {
		if v.isScalar() && !v.isNull() {
			r.fail(v, "%s", remedy)
			var none V
			return none, false
		}
		return read(r, v)
	}
	return s
}

func (r *reader) dataSource(doc value, project string) *flow.DataSource {
	var d flow.DataSource
	dataSourceKeys.read(r, doc, &d)
	if d.Project == "" {
		d.Project = project
	}
	r.address(doc, &d)
	return &d
}

// address checks that there is one, said once, and no password in it.
func (r *reader) address(doc value, d *flow.DataSource) {
	if d.DSN != "" {
		for _, part := range []string{"host", "port", "database", "user", "options"} {
			if v, ok := doc.get(part); ok {
				r.fail(v, "%s is part of the dsn; give either dsn or the parts", part)
			}
		}
		if holdsPassword(d.DSN) {
			r.fail(doc.at("dsn"), "the dsn holds a password, which would be seen by everyone who sees the file; write password: {env: NAME} or {file: PATH}")
		}
	}
	for _, name := range []string{"password", "sslpassword"} {
		if _, ok := d.Options[name]; ok {
			r.fail(doc.at("options").at(name), "a password is not written into the file; write password: {env: NAME} or {file: PATH}")
		}
	}
	if _, typed := doc.get("type"); !typed || d.Type == "" || d.DSN != "" {
		return
	}
	need := "host"
	if d.Type == sqlite {
		need = "database"
	}
	if v, ok := doc.get(need); !ok || v.isNull() {
		r.failAt(doc.node.Line, doc.node.Column, need, flow.CodeInvalidFile, "a data source of type "+d.Type+" needs "+need+" or dsn")
	}
}

// holdsPassword knows URLs, user:password@tcp(host)/db, and key=value lists.
func holdsPassword(dsn string) bool {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" && u.Host != "" {
		_, set := u.User.Password()
		return set || u.Query().Has("password")
	}
	lower := strings.ToLower(dsn)
	if strings.Contains(lower, "password=") || strings.Contains(lower, "pwd=") {
		return true
	}
	user, _, ok := strings.Cut(dsn, "@")
	return ok && strings.Contains(user, ":") && !strings.HasPrefix(lower, "file:")
}
