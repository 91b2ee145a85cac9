// Package sql runs statements in a database and hands on what they return.
//
// It splits a script, binds parameters, keeps pre, sql and post in one transaction, and turns rows
// into outputs or a file. It must not know other task types, nor where a password comes from, and
// it never touches Baton's own store.
package sql

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"baton/internal/flow"
	"baton/internal/task"
)

// Type is the task type. It keeps connections between attempts, so a process has one.
type Type struct {
	pools *pools
}

// New returns the task type. Nothing is opened before the first attempt.
func New() *Type { return &Type{pools: newPools(time.Minute)} }

// Close closes the connections that no attempt uses.
func (t *Type) Close() { t.pools.closeIdle() }

var schema = task.Schema{
	Description: "Runs SQL in a data source: PostgreSQL, MySQL or MariaDB, SQLite. The outputs come from the last statement of `sql` that returns rows: " +
		"`row_count`, `rows` as a list, and of a single row each column by its name. Without rows, `row_count` is the number of rows changed.",
	Options: []task.Option{
		{Name: "datasource", Kind: task.DataSourceOption, Required: true, Description: "Name of a DataSource of the project."},
		{
			Name: "sql", Kind: task.Text, Required: true, Multiline: true,
			Description: "One statement or several, separated by semicolons. Write :name where a parameter of `params` belongs; :baton_fence, :baton_instance and :baton_attempt are always there.",
		},
		{
			Name: "params", Kind: task.AnyValue,
			Description: "Values bound to :name in pre, sql and post, never put in as text: {region: \"${region}\", limit: 10}. A list becomes several values, for `in (:regions)`. " +
				"A text that must arrive as another type is written {type: integer, value: \"${n}\"}; types are text, integer, number, boolean, json and bytes (base64).",
		},
		{Name: "pre", Kind: task.TextList, Multiline: true, Description: "Statements that run before; their rows are dropped."},
		{Name: "post", Kind: task.TextList, Multiline: true, Description: "Statements that run afterwards, when `sql` succeeded; their rows are dropped."},
		{
			Name: "transaction", Kind: task.Boolean, Default: "true",
			Description: "Run pre, sql and post in one transaction: all or nothing. Turn it off for statements that refuse one (VACUUM, CREATE INDEX CONCURRENTLY) or to write BEGIN and COMMIT yourself. MySQL commits by itself before and after DDL, whatever stands here.",
		},
		{
			Name: "max_rows", Kind: task.Integer,
			Description: "Keep at most this many rows; further ones are counted in `row_count` and dropped, and the log says so. Without it every row is kept, and outputs beyond 64 KiB fail the task.",
		},
		{
			Name: "save_as", Kind: task.Text,
			Description: "Write the result into this file on the worker instead of `rows`: an absolute path that ends in .csv, .json (a list) or .jsonl (one object a line). It appears when the transaction is committed, whole or not at all; the output `file` names it.",
		},
	},
}

// Name returns "sql".
func (*Type) Name() string { return "sql" }

// Schema describes the options.
func (*Type) Schema() task.Schema { return schema }

// Check finds parameters and file names that cannot be.
func (*Type) Check(options json.RawMessage) []*flow.Error {
	o := schema.Read(options)
	var errs []*flow.Error
	if _, err := readParams(o.Raw("params"), templatesAllowed); err != nil {
		errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "params", "%v", err))
	}
	if o.Has("save_as") && !o.Templated("save_as") {
		if _, err := formatOf(o.Text("save_as")); err != nil {
			errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "save_as", "%v", err))
		}
	}
	if o.Has("max_rows") && !o.Templated("max_rows") && o.Integer("max_rows") < 0 {
		errs = append(errs, flow.Errorf(flow.CodeInvalidFile, "max_rows", "max_rows cannot be negative"))
	}
	return errs
}

// Run carries out the script.
func (t *Type) Run(ctx context.Context, a *task.Attempt) (task.Outputs, error) {
	if a.Source == nil {
		return nil, &task.Failure{Cause: task.CauseOptions, Message: "the attempt came without its data source"}
	}
	dialect, err := dialectOf(a.Source.Type)
	if err != nil {
		return nil, err
	}
	s, err := readScript(a, dialect)
	if err != nil {
		return nil, err
	}
	result, err := s.newResult(a)
	if err != nil {
		return nil, err
	}
	defer result.discard()

	db, release, err := t.pools.acquire(dialect, a.Source, a.Password)
	if err != nil {
		return nil, connectFailure(ctx, dialect, a, err)
	}
	defer release()
	run, err := connect(ctx, db, dialect, a)
	if err != nil {
		return nil, connectFailure(ctx, dialect, a, err)
	}
	if err := run.all(s, result); err != nil { //nolint:contextcheck // run has the context of its connection
		run.drop()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("sql: %w", context.Cause(ctx))
		}
		return nil, err
	}
	run.keep(s.stateful()) //nolint:contextcheck // tidying up must not end with the attempt
	return result.outputs()
}
