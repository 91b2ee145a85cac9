package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"
	"testing/synctest"
	"time"

	"baton/internal/flow"
)

// counted is a dialect whose connections are only counted.
type counted struct {
	dialect
	opened int
}

func (c *counted) open(*flow.DataSource, string) (*sql.DB, error) {
	c.opened++
	return sql.OpenDB(nowhere{}), nil
}

type nowhere struct{}

func (nowhere) Connect(context.Context) (driver.Conn, error) { return nil, driver.ErrBadConn }
func (nowhere) Driver() driver.Driver                        { return nil }

func TestPoolsCloseWhatIsIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &counted{}
		p := newPools(time.Minute)
		a := &flow.DataSource{Name: "a", Type: "x"}
		use := func(source *flow.DataSource, password string) (*sql.DB, func()) {
			t.Helper()
			db, release, err := p.acquire(d, source, password)
			if err != nil {
				t.Fatal(err)
			}
			return db, release
		}
		first, release1 := use(a, "p")
		same, release2 := use(&flow.DataSource{Name: "a", Type: "x"}, "p")
		if first != same {
			t.Error("two attempts on one data source have two pools")
		}
		_, release3 := use(a, "changed")
		if d.opened != 2 {
			t.Errorf("a changed password opened %d pools in all, want 2", d.opened)
		}
		release1()
		release1() // twice is once
		release3()
		time.Sleep(2 * time.Minute)
		if again, release := use(a, "p"); again != first {
			t.Error("a pool in use was closed")
		} else {
			release()
		}
		release2()
		time.Sleep(59 * time.Second)
		again, release := use(a, "p")
		if again != first {
			t.Error("a pool was closed too early")
		}
		time.Sleep(time.Hour)
		release()
		time.Sleep(61 * time.Second)
		if _, release := use(a, "p"); d.opened != 3 {
			t.Errorf("opened %d, want the idle one closed and a new one", d.opened)
		} else {
			release()
		}
		p.closeIdle()
		if len(p.byKey) != 0 {
			t.Errorf("%d pools are left", len(p.byKey))
		}
	})
}
