// Which way leads to PostgreSQL: straight, or through a pooler; and the connections that need a
// session of their own.

package store

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"

	"baton/internal/flow"
	"baton/internal/store/pgdriver"
)

// lookAtPostgres tells whether an address leads through a pooler, and refuses what would not work
// there.
func lookAtPostgres(ctx context.Context, config *pgx.ConnConfig) (pooled bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if pooled, err = pgdriver.Pooled(ctx, conn); err != nil || !pooled {
		return pooled, err
	}
	// A transaction, as there will be many.
	tx, err := conn.Begin(ctx)
	if err != nil {
		return true, err
	}
	var isolation string
	err = tx.QueryRow(ctx, "SELECT current_setting('default_transaction_isolation')", pgx.QueryExecModeSimpleProtocol).Scan(&isolation)
	if err = errors.Join(err, tx.Rollback(ctx)); err != nil {
		return true, err
	}
	if isolation != "read committed" {
		return true, flow.Errorf(flow.CodeConflict, "store",
			"transactions of the database are %s, and a pooler keeps no setting of a session; run ALTER DATABASE … SET default_transaction_isolation = 'read committed', or name an address in `store` that passes no pooler", isolation)
	}
	return true, nil
}

// directPostgres reads `store-direct` and tries it: it must lead to the same database as the store.
func directPostgres(ctx context.Context, dsn string, store *pgx.ConnConfig) (*pgx.ConnConfig, error) {
	config, err := parsePostgres(dsn)
	if err != nil {
		return nil, forDirect(err)
	}
	pooled, err := lookAtPostgres(ctx, config)
	if err != nil {
		return nil, forDirect(explainPostgres(err))
	}
	if pooled {
		return nil, flow.Errorf(flow.CodeBadRequest, "store-direct", "`store-direct` leads through a pooler too; name the address of PostgreSQL itself")
	}
	here, err := whichPostgres(ctx, store)
	if err != nil {
		return nil, explainPostgres(err)
	}
	there, err := whichPostgres(ctx, config)
	if err != nil {
		return nil, forDirect(explainPostgres(err))
	}
	if here != there {
		return nil, flow.Errorf(flow.CodeBadRequest, "store-direct", "`store-direct` leads to another database than `store`; both must name the same one")
	}
	return config, nil
}

// whichPostgres is what tells one database from all others.
func whichPostgres(ctx context.Context, config *pgx.ConnConfig) (id string, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = conn.QueryRow(ctx, `
		SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || oid FROM pg_database WHERE datname = current_database()`,
		pgx.QueryExecModeSimpleProtocol).Scan(&id)
	return id, err
}

// forDirect says of an error that it is about the other setting.
func forDirect(err error) error {
	e, ok := errors.AsType[*flow.Error](err)
	if !ok {
		return err
	}
	out := *e
	out.Field, out.Message = "store-direct", "store-direct: "+e.Message
	return &out
}

func (p *postgresDB) telling(channel string, n int) string {
	return " RETURNING pg_notify('" + channel + "', baton_now()::text || ' ' || $" + strconv.Itoa(n) + "::text)"
}

// listen calls heard when it can hear, and at every notification.
func (p *postgresDB) listen(ctx context.Context, channel string, heard func(string)) error {
	if p.direct == nil {
		return flow.ErrNoChannel
	}
	conn, err := pgx.ConnectConfig(ctx, p.direct)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is under way
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return err
	}
	heard("")
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		heard(n.Payload)
	}
}
