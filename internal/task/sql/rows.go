// Rows of database/sql, for the databases whose driver gives them faithfully.

package sql

import (
	"database/sql"
)

// passRows hands all results of a statement to sink and closes them. returned is false for a
// statement that has none.
func passRows(rows *sql.Rows, sink rowSink, convert func(v any, kind string) value) (returned bool, err error) {
	defer rows.Close()
	for {
		some, err := passResult(rows, sink, convert)
		if err != nil {
			return returned, err
		}
		returned = returned || some
		if !rows.NextResultSet() {
			return returned, rows.Err()
		}
	}
}

func passResult(rows *sql.Rows, sink rowSink, convert func(v any, kind string) value) (bool, error) {
	columns, err := rows.ColumnTypes()
	if err != nil {
		return false, err
	}
	if len(columns) == 0 || sink == nil {
		for rows.Next() { // it runs to its end this way
		}
		return false, rows.Err()
	}
	names, kinds := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], kinds[i] = c.Name(), c.DatabaseTypeName()
	}
	if err := sink.begin(names); err != nil {
		return true, err
	}
	values, fields, targets := make([]value, len(columns)), make([]any, len(columns)), make([]any, len(columns))
	for i := range fields {
		targets[i] = &fields[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return true, err
		}
		for i, v := range fields {
			values[i] = convert(v, kinds[i])
		}
		if err := sink.row(values); err != nil {
			return true, err
		}
	}
	return true, rows.Err()
}
