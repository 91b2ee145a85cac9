// SQLite: how it is opened, and how PostgreSQL's phrases are said in it.

package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"baton/internal/flow"
)

// sqliteApplication marks our files in their header, so that a foreign database is refused.
const sqliteApplication = 0x4261746f // "Bato"

// sqliteDB is one file: a single writing connection with its goroutine, and a pool of readers,
// which in WAL mode neither wait for the writer nor hold it up.
type sqliteDB struct {
	readers *sql.DB
	writer  *sqliteWriter
	clock   func() time.Time
	texts   sync.Map // translated queries by original
	// prepared are long queries on the readers, by text. They end with the pool.
	prepared sync.Map
}

// dialSQLite opens a file. synchronous=FULL: a commit that was answered survives a power cut.
// Transactions that write begin as such: a reader that turns writer gets SQLITE_BUSY without
// waiting.
func dialSQLite(path string, readOnly bool) (*sql.DB, error) {
	fresh, err := checkSQLiteFile(path)
	if err != nil {
		return nil, err
	}
	q := url.Values{"_pragma": {"busy_timeout(5000)"}, "_txlock": {"immediate"}, "_dqs": {"0"}}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
		q.Set("_txlock", "deferred")
	} else {
		if fresh {
			// Before WAL, so that it is in the file itself from the first byte on.
			q.Add("_pragma", fmt.Sprintf("application_id(%d)", sqliteApplication))
			// What runs printed and were given is in it: its owner's alone. SQLite gives the files beside
			// it the same mode.
			f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				return nil, flow.Errorf(flow.CodeUnavailable, "store", "the store %s cannot be made: %v", path, err)
			}
			if err := f.Close(); err != nil {
				return nil, fmt.Errorf("make %s: %w", path, err)
			}
		}
		q["_pragma"] = append(q["_pragma"], "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)")
	}
	name := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, explainSQLite(err))
	}
	return db, nil
}

// checkSQLiteFile refuses what SQLite would report in words nobody can act on, and tells whether
// the file is yet to be made.
func checkSQLiteFile(path string) (fresh bool, err error) {
	if path == "" {
		return false, flow.Errorf(flow.CodeBadRequest, "store", "sqlite: needs a path, such as sqlite:/var/lib/baton/baton.db")
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return true, checkFolder(path)
	}
	if err != nil {
		return false, flow.Errorf(flow.CodeUnavailable, "store", "the store %s cannot be written: %v; give the file and its folder to the user that runs Baton", path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var header [72]byte
	n, err := io.ReadFull(f, header[:])
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return true, checkFolder(path)
	case n < len(header) || string(header[:16]) != "SQLite format 3\x00":
		return false, flow.Errorf(flow.CodeConflict, "store", "the file %s is not a SQLite database; name another file, or restore a backup over it", path)
	}
	if id := binary.BigEndian.Uint32(header[68:]); id != sqliteApplication {
		return false, flow.Errorf(flow.CodeConflict, "store", "the SQLite database %s belongs to another program (application id %#x); name another file", path, id)
	}
	return false, checkFolder(path)
}

// checkFolder tells whether files can be made beside path, as WAL needs.
func checkFolder(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".baton-*")
	if err != nil {
		return flow.Errorf(flow.CodeUnavailable, "store", "the folder of the store %s cannot be written: %v; make it, and give it to the user that runs Baton", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func openSQLite(ctx context.Context, path string, opts Options) (*sqliteDB, error) {
	db, err := dialSQLite(path, false)
	if err != nil {
		return nil, err
	}
	writer, err := newSQLiteWriter(ctx, db)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, explainSQLite(err)), db.Close())
	}
	readers, err := dialSQLite(path, true)
	if err != nil {
		return nil, errors.Join(err, writer.close())
	}
	readers.SetMaxOpenConns(4)
	readers.SetMaxIdleConns(4)
	return &sqliteDB{readers: readers, writer: writer, clock: opts.Clock}, nil
}

func (s *sqliteDB) close() error { return errors.Join(s.writer.close(), s.readers.Close()) }

func (s *sqliteDB) read(class) querier { return sqliteReader{s.readers, &s.prepared} }

// sqliteReader keeps long queries prepared: to parse a list of runs takes longer than to run it.
type sqliteReader struct {
	*sql.DB
	prepared *sync.Map
}

const (
	preparedLength = 500 // characters from which on a query is kept
	preparedMost   = 200
)

// QueryContext runs a query, prepared if it is long.
func (r sqliteReader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if len(query) < preparedLength {
		return r.DB.QueryContext(ctx, query, args...) //nolint:sqlclosecheck // the caller closes the rows
	}
	s, ok := r.prepared.Load(query)
	if !ok {
		fresh, err := r.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		var kept int
		r.prepared.Range(func(any, any) bool { kept++; return kept < preparedMost })
		if kept == preparedMost {
			defer fresh.Close()                     //nolint:errcheck // rows that are being read keep it open
			return fresh.QueryContext(ctx, args...) //nolint:sqlclosecheck // the caller closes the rows
		}
		if s, ok = r.prepared.LoadOrStore(query, fresh); ok {
			_ = fresh.Close() // another was faster
		}
	}
	return s.(*sql.Stmt).QueryContext(ctx, args...) //nolint:sqlclosecheck // kept until the pool ends
}

func (s *sqliteDB) write(ctx context.Context, c class, fn func(querier) error) error {
	return s.writer.do(ctx, c, fn)
}

func (s *sqliteDB) statement(ctx context.Context, c class, fn func(querier) error) error {
	return s.writer.do(ctx, c, fn)
}

func (s *sqliteDB) identify(int64) {}

func (s *sqliteDB) telling(string, int) string { return "" }

// listen: one process has the file, and what is cheap to read is read again.
func (s *sqliteDB) listen(context.Context, string, func(string)) error { return flow.ErrNoChannel }

var (
	anyList = regexp.MustCompile(`= ANY\((\$\d+)\)`)
	anyRow  = regexp.MustCompile(`= ANY\(ARRAY\(([^()]*)\)\)`)
	locking = regexp.MustCompile(`\s+FOR (?:SHARE|(?:NO KEY )?UPDATE)(?: OF \w+)?(?: SKIP LOCKED)?`)
)

// text says in SQLite what PostgreSQL says with arrays, row locks (there is one writer) and the
// clock of the server.
func (s *sqliteDB) text(query string) string {
	t, ok := s.texts.Load(query)
	if !ok {
		out := anyList.ReplaceAllString(query, "IN (SELECT value FROM json_each($1))")
		out = anyRow.ReplaceAllString(out, "IN ($1)")
		t, _ = s.texts.LoadOrStore(query, locking.ReplaceAllString(out, ""))
	}
	text := t.(string)
	if strings.Contains(text, "baton_now()") {
		text = strings.ReplaceAll(text, "baton_now()", strconv.FormatInt(s.clock().UnixMicro(), 10))
	}
	return text
}

func (s *sqliteDB) lateral() bool { return false }

func (s *sqliteDB) list(ids []flow.ID) any {
	b := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return string(append(b, ']'))
}

func (s *sqliteDB) records(arg, columns string) string {
	var out []string
	for column := range strings.SplitSeq(columns, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(column), " ")
		out = append(out, "value ->> '"+name+"' AS "+name)
	}
	return "(SELECT " + strings.Join(out, ", ") + " FROM json_each(" + arg + ")) AS u"
}

func (s *sqliteDB) names(texts []string) any {
	b, err := json.Marshal(texts)
	if err != nil || texts == nil {
		return "[]"
	}
	return string(b)
}

func (s *sqliteDB) nextTokens(ctx context.Context, q querier, n int) ([]int64, error) {
	var last int64
	err := q.QueryRowContext(ctx, `
		UPDATE counter SET value = value + $1 WHERE name = 'token'
		RETURNING value + ((SELECT CAST(value AS INTEGER) FROM setting WHERE key = 'generation') << 40)`, n).Scan(&last)
	if err != nil {
		return nil, fmt.Errorf("take %d tokens: %w", n, err)
	}
	out := make([]int64, n)
	for i := range out {
		out[i] = last - int64(n-1-i)
	}
	return out, nil
}

// raise needs no lock and no patience: there is one writer.
func (s *sqliteDB) raise(ctx context.Context, dead int64) (won bool, err error) {
	err = s.write(ctx, forEngine, func(q querier) error {
		res, err := q.ExecContext(ctx, raiseSQL, dead)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		won = n == 1
		return err
	})
	return won, err
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff // the primary code
}

func (s *sqliteDB) damaged(err error) bool {
	if errors.Is(err, errRefused) {
		return true
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return true
	}
	return false
}

func (s *sqliteDB) explain(err error) error { return explainSQLite(err) }

// explainSQLite names the remedy. All of these may be tried again: the transaction was rolled
// back whole.
func explainSQLite(err error) error {
	var known *flow.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	var remedy string
	switch sqliteCode(err) {
	case sqlite3.SQLITE_FULL:
		remedy = "the disk of the store is full; nothing was lost, make room and it goes on"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		remedy = "the store is locked by another process; stop it, only one Baton may use a SQLite file"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		remedy = "the store cannot be written; give the file and its folder to the user that runs Baton"
	case sqlite3.SQLITE_IOERR:
		remedy = "the disk of the store fails; see the log of the kernel"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return explained{flow.Errorf(flow.CodeConflict, "store", "the store is damaged or not a database; restore a backup (%v)", err), err}
	default:
		return err
	}
	return explained{flow.Errorf(flow.CodeUnavailable, "store", "%s (%v)", remedy, err), err}
}

// explained is an error for people over the one it explains.
type explained struct {
	told  *flow.Error
	cause error
}

func (e explained) Error() string   { return e.told.Error() }
func (e explained) Unwrap() []error { return []error{e.told, e.cause} }
