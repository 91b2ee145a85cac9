package store_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"baton/internal/flow"
	"baton/internal/store"
	"baton/internal/store/storetest"
	"baton/internal/store/storetest/pgtest"
)

// What a session would keep holds in every transaction: nothing of it is left on the connections
// of the pooler, where strangers would find it.
func TestPoolerSettings(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	pooled := pgtest.Pooler(t, dsn, "default_pool_size = 1")
	db, err := store.Open(t.Context(), pooled, store.Options{Lease: 8 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	want := map[string]string{
		"statement_timeout": "2s", "lock_timeout": "2s", "idle_in_transaction_session_timeout": "2s", "enable_hashjoin": "off", "enable_seqscan": "off",
		"enable_mergejoin": "off", "jit": "off", "transaction_isolation": "read committed",
	}
	names := []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "enable_hashjoin", "enable_seqscan", "enable_mergejoin", "jit", "transaction_isolation"}
	got, err := db.SessionSettings(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("a statement (-want +got)\n%s", d)
	}
	tx, err := db.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		var got string
		if err := tx.QueryRowContext(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != value {
			t.Errorf("a transaction: %s is %s, %v", name, got, err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	// The only connection of the pool, as somebody else finds it.
	var left string
	if err := connect(t, pooled, "stranger").QueryRow(t.Context(), "SELECT current_setting('statement_timeout') || current_setting('enable_seqscan')").Scan(&left); err != nil || left != "0on" {
		t.Errorf("a stranger finds %q, %v", left, err)
	}
}

// Behind a pooler too a master that was frozen in the middle of a commit is ended by whoever
// fences it: its name is in its transaction.
func TestPoolerFenceEndsAFrozenMaster(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	pooled := pgtest.Pooled(t, dsn)
	db := open(t, pooled)
	w := storetest.NewWorld(t, db)
	ch := w.Run(1)
	frozen, err := db.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"SELECT epoch FROM fence WHERE incarnation = $1 FOR SHARE", "UPDATE instance SET seq = seq + 1 WHERE owner = $1"} {
		if _, err := frozen.ExecContext(t.Context(), q, w.Me); err != nil {
			t.Fatal(err)
		}
	}
	survivor := open(t, pooled)
	heir := storetest.Join(t, survivor, "heir")
	begun := time.Now()
	won, err := survivor.Master().Fence(t.Context(), w.Me)
	if err != nil || !won {
		t.Fatal(won, err)
	}
	if d := time.Since(begun); d > 2*time.Second {
		t.Errorf("fencing took %s", d)
	}
	if err := frozen.Commit(); err == nil {
		t.Error("the frozen transaction was committed")
	}
	ids, _, err := survivor.Master().TakeOver(t.Context(), heir.Me, w.Me, storetest.Now, 0, 10)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	if got := heir.Load(ids[0]).Instance.Seq; got != ch.Instance.Seq+1 {
		t.Errorf("seq %d: what was not committed counts", got)
	}
	if _, err := w.Commit(storetest.Next(ch.Instance)); !errors.Is(err, flow.ErrFenced) {
		t.Errorf("commit of the fenced: %v", err)
	}
}

// A frozen client that nobody fences holds its locks for a quarter of the lease; one that is
// frozen while its statement runs holds them until that has ended, which is as long at most.
func TestPoolerBoundsAFrozenClient(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	db, err := store.Open(t.Context(), pgtest.Pooled(t, dsn), store.Options{Lease: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	w := storetest.NewWorld(t, db)
	ch := w.Run(1)
	idle, err := db.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idle.ExecContext(t.Context(), "UPDATE instance SET seq = seq WHERE id = $1", int64(ch.Instance.ID)); err != nil {
		t.Fatal(err)
	}
	direct := connect(t, dsn, "test")
	begun := time.Now()
	if _, err := direct.Exec(t.Context(), "UPDATE instance SET priority = priority WHERE id = $1", int64(ch.Instance.ID)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("the lock was held for %s", d)
	}
	if err := idle.Commit(); err == nil {
		t.Error("it was committed all the same")
	}
	// Now the client waits in the middle of a statement, which is all there is of its transaction.
	tx, err := direct.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT 1 FROM instance WHERE id = $1 FOR UPDATE", int64(ch.Instance.ID)); err != nil {
		t.Fatal(err)
	}
	begun = time.Now()
	if _, err := w.Commit(storetest.Next(ch.Instance)); err == nil {
		t.Error("it did not wait")
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("the statement waited for %s", d)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rs, err := w.Commit(storetest.Next(ch.Instance)); err != nil || rs[0].Fate != flow.Committed {
		t.Errorf("again: %v %v", rs, err)
	}
}

// Several nodes that start on an empty database through a pooler: one makes the schema, and the
// lock is nobody's afterwards.
func TestPoolerMigratesOnce(t *testing.T) {
	t.Parallel()
	pooled := pgtest.Pooled(t, pgtest.Empty(t))
	for range 2 {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				db, err := store.Open(t.Context(), pooled, store.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				_ = db.Close()
			})
		}
		all.Wait()
	}
}

// Changes are heard over the direct address, and without one nobody is told that they are.
func TestPoolerDirect(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	pooled := pgtest.Pooled(t, dsn)
	db := open(t, pooled)
	if err := db.Registry().Listen(t.Context(), func(flow.NodeChange) { t.Error("heard") }); !errors.Is(err, flow.ErrNoChannel) {
		t.Errorf("through a pooler: %v", err)
	}
	withDirect, err := store.Open(t.Context(), pooled, store.Options{Direct: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = withDirect.Close() })
	heard := make(chan struct{}, 10)
	go func() { _ = withDirect.Registry().Listen(t.Context(), func(flow.NodeChange) { heard <- struct{}{} }) }()
	<-heard
	w := storetest.NewWorld(t, db)
	if err := db.Registry().Withdraw(t.Context(), []int64{w.Me}); err != nil { // NOTIFY passes the pooler
		t.Fatal(err)
	}
	<-heard
}

func TestConnectionErrors(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	pooled := pgtest.Pooled(t, dsn)
	admin := connect(t, dsn, "test")
	limited := fmt.Sprintf("limited%d", time.Now().UnixNano())
	if _, err := admin.Exec(t.Context(), "CREATE ROLE "+limited+" LOGIN CONNECTION LIMIT 0"); err != nil {
		t.Fatal(err)
	}
	with := func(dsn string, change func(*url.URL)) string {
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	user := func(name string) func(*url.URL) {
		return func(u *url.URL) { u.User = url.UserPassword(name, "secret") }
	}
	database := func(u *url.URL) { u.Path = "/nosuch" }
	encrypted := func(u *url.URL) { u.RawQuery = "sslmode=require" }
	serializable := pgtest.New(t)
	if _, err := connect(t, serializable, "test").Exec(t.Context(), `DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_isolation = ''serializable'''; END $$`); err != nil {
		t.Fatal(err)
	}
	nobody := with(dsn, func(u *url.URL) { u.Host = "127.0.0.1:1" })
	ascii := pgtest.Encoded(t, "SQL_ASCII")
	stays := map[string]bool{"encoding": true, "another encoding": true, "pooler: encoding": true, "user": true, "database": true, "parameter": true, "TLS": true, "pooler: TLS": true, "pooler: user": true}
	for _, c := range []struct {
		name, dsn, direct string
		field             string
		says              []string
	}{
		{"nobody there", nobody, "", "store", []string{"cannot be reached", "host and port of `store`"}},
		{"no such host", with(dsn, func(u *url.URL) { u.Host = "no.such.host.invalid:5432" }), "", "store", []string{"the host of `store` has no address"}},
		{"user", with(dsn, user("nosuch")), "", "store", []string{"refuses the user of `store`", "name and password"}},
		{"database", with(dsn, database), "", "store", []string{"database of `store` does not exist", "createdb"}},
		{"encoding", ascii, "", "store", []string{"the encoding SQL_ASCII", "ENCODING 'UTF8'"}},
		{"another encoding", pgtest.Encoded(t, "LATIN1"), "", "store", []string{"the encoding LATIN1", "ENCODING 'UTF8'"}},
		{"pooler: encoding", pgtest.Pooled(t, ascii), "", "store", []string{"the encoding SQL_ASCII"}},
		{"limit", with(dsn, user(limited)), "", "store", []string{"no connection left", "CONNECTION LIMIT"}},
		{"parameter", dsn + "&sslmod=disable", "", "store", []string{"does not know a parameter of `store`"}},
		{"no PostgreSQL", with(dsn, func(u *url.URL) { u.Host = somethingElse(t) }), "", "store", []string{"does not answer as PostgreSQL does; check host and port"}},
		{"TLS", with(dsn, encrypted), "", "store", []string{"asks for TLS", "sslmode=disable"}},
		{"pooler: user", with(pooled, user("nosuch")), "", "store", []string{"refuses the user of `store`"}},
		{"pooler: password", with(pgtest.Pooler(t, dsn, "auth_type = scram-sha-256"), user("postgres")), "", "store", []string{"refuses the user of `store`"}},
		{"pooler: database", with(pooled, database), "", "store", []string{"database of `store` does not exist"}},
		{"pooler: TLS", with(pooled, encrypted), "", "store", []string{"asks for TLS", "the pooler before it"}},
		{"pooler: parameter", pooled + "&search_path=public", "", "store", []string{"ignore_startup_parameters", "search_path"}},
		{"pooler: statements", pgtest.Pooler(t, dsn, "pool_mode = statement"), "", "store", []string{"pool_mode", "transaction"}},
		{"pooler: limit", pgtest.Pooler(t, dsn, "max_client_conn = 1"), "", "store", []string{"max_client_conn"}},
		{"pooler: isolation", pgtest.Pooled(t, serializable), "", "store", []string{"serializable", "ALTER DATABASE"}},
		{"malformed", "postgres://u:secret@h:port/x", "", "store", []string{"not valid: invalid port"}},
		{"direct: nobody there", pooled, nobody, "store-direct", []string{"cannot be reached"}},
		{"direct: malformed", pooled, "postgres://h:port/x", "store-direct", []string{"store-direct", "not valid: invalid port"}},
		{"direct: a pooler", pooled, pooled, "store-direct", []string{"leads through a pooler too"}},
		{"direct: another database", pooled, pgtest.New(t), "store-direct", []string{"another database"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := store.Open(t.Context(), c.dsn, store.Options{Direct: c.direct})
			e, ok := errors.AsType[*flow.Error](err)
			if !ok || e.Field != c.field {
				t.Fatalf("%v", err)
			}
			for _, says := range c.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("it does not say %q: %v", says, err)
				}
			}
			if stays[c.name] && !store.Refused(err) {
				t.Errorf("it would be tried again and again: %v", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("it says the password: %v", err)
			}
		})
	}
}

// somethingElse is the address of a server that speaks HTTP.
func somethingElse(t *testing.T) string {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Whoever waits for a connection of the pooler in vain is told which number to raise.
func TestPoolerIsFull(t *testing.T) {
	t.Parallel()
	dsn := pgtest.New(t)
	pooled := pgtest.Pooler(t, dsn, "default_pool_size = 1", "query_wait_timeout = 1")
	db := open(t, pooled)
	tx, err := db.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	// However slow the pooler is: it may not be the server that gives in.
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
		t.Fatal(err)
	}
	if err := db.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "default_pool_size") {
		t.Errorf("%v", err)
	}
}

// A server that encrypts with a certificate of its own, and lets in only who does.
func TestConnectionTLS(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t)
	cert, key := selfSigned(t)
	for name, text := range map[string][]byte{"server.crt": cert, "server.key": key, "pg_hba.conf": []byte("local all all trust\nhostssl all postgres 127.0.0.1/32 trust\n")} {
		s.Write(t, name, text)
	}
	admin := connect(t, s.DSN(), "test")
	for _, q := range []string{"ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"} {
		if _, err := admin.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	ca := filepath.Join(t.TempDir(), "ca.crt")
	write(t, ca, cert)
	dsn := strings.TrimSuffix(s.DSN(), "?sslmode=disable")
	waitForTLS(t, dsn)
	for _, c := range []struct{ name, query, says string }{
		{"without TLS", "?sslmode=disable", "pg_hba.conf"},
		{"authority not known", "?sslmode=verify-full", "sslrootcert"},
		{"not checked", "?sslmode=require", ""},
		{"checked", "?sslmode=verify-full&sslrootcert=" + ca, ""},
	} {
		db, err := store.Open(t.Context(), dsn+c.query, store.Options{})
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) || c.says == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			_ = db.Close()
		}
	}
}

// waitForTLS returns when the server has read its settings again.
func waitForTLS(t *testing.T, dsn string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		c, err := pgx.Connect(t.Context(), dsn+"?sslmode=require")
		if err == nil {
			_ = c.Close(t.Context())
			return
		}
	}
	t.Fatal("the server does not encrypt")
}

func selfSigned(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
