package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"baton/internal/flow"
	"baton/internal/rpc"
	"baton/internal/worker/supervisor"
)

func someRecords() []Record {
	return []Record{
		{Kind: RecordSession, Session: 6, Gen: 3}, // of a program that wrote no cluster
		{Kind: RecordSession, Session: 7, Gen: 3, Cluster: "c1"},
		{Kind: RecordGrant, Token: 1, Instance: 2, Task: 3},
		{Kind: RecordProcess, Token: 1, Process: supervisor.Identity{PID: 99, Start: 1 << 60}, At: 5},
		{Kind: RecordTombstone, Token: 4, Instance: 5, Task: 6},
		{Kind: RecordEnd, End: &rpc.Ended{Token: 8, Reason: "x", State: uint32(flow.AttemptFailed)}},
		{Kind: RecordDrop, Dropped: []int64{9, 10}},
	}
}

func TestJournalGivesBackWhatItWasTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, got, err := openJournal(path)
	if err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	want := someRecords()
	for _, r := range want {
		if err := j.append([]Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.sync(); err != nil {
		t.Fatal(err)
	}
	j.close()
	j, got, err = openJournal(path)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, %v; want %v", got, err, want)
	}
	state := Fold(got)
	if err := j.rewrite(state.Records()); err != nil {
		t.Fatal(err)
	}
	j.close()
	_, got, err = openJournal(path)
	if again := Fold(got); err != nil || fmt.Sprint(again) != fmt.Sprint(state) || reflect.DeepEqual(state, State{}) {
		t.Errorf("got %v, %v; want %v", again, err, state)
	}
}

// A master may grant what has ended here once more, while the result lies in the inbox: also a worker
// that was started anew meanwhile does not run it again.
func TestWhatEndedIsNotRunAgainByASuccessor(t *testing.T) {
	t.Parallel()
	cfg := CoreConfig{Name: "w", Home: "h", Slots: 4, CompactAfter: 1 << 10, Kind: func(string) Kind { return KindFunction }}
	var records []Record
	now := flow.Time(1e6)
	starts := func(c *Core, events ...Event) (n int) {
		effects := c.Step(now, events...)
		for len(effects) > 0 {
			var next []Effect
			for _, e := range effects {
				switch e := e.(type) {
				case Persist:
					if e.Whole {
						records = nil
					}
					records = append(records, e.Records...)
					next = append(next, c.Step(now, Persisted{ID: e.ID})...)
				case Start:
					n++
					next = append(next, c.Step(now, Finished{e.Grant.GetToken(), End{State: flow.AttemptSucceeded, ExitCode: flow.NoExit}})...)
				}
			}
			effects = next
		}
		return n
	}
	join := func(s State) *Core {
		c := NewCore(cfg, s)
		starts(c, StreamUp{Stream: 1}, Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 2, Welcome: &rpc.Welcome{Session: 9, Generation: 1, LeaseMicros: 1e9}}})
		return c
	}
	grant := func(token int64) Frame {
		return Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 2, Grants: []*rpc.Grant{{Token: token, Instance: 1, Task: 1, Type: "t"}}}}
	}
	c := join(State{})
	for token := range int64(100) {
		if n := starts(c, grant(token+1)); n != 1 {
			t.Fatalf("token %d was started %d times", token+1, n)
		}
		starts(c, Frame{Stream: 1, Frame: &rpc.FromMaster{Master: 2, Acks: []int64{token + 1}}})
	}
	c = join(Fold(records))
	for token := range int64(100) {
		if n := starts(c, grant(token+1)); n != 0 {
			t.Errorf("token %d is started again", token+1)
		}
	}
	for _, e := range c.Step(now, grant(50)) { // its owner asks as if it did not know that
		if s, ok := e.(Send); ok && (len(s.Frame.Held) != 1 || s.Frame.Held[0].State != rpc.HeldState_HELD_STATE_DONE) {
			t.Errorf("it says %v", s.Frame)
		}
	}
	if n := starts(c, grant(101)); n != 1 {
		t.Errorf("a new token was started %d times", n)
	}
}

// TestTornTail: cut anywhere after the last sync, what came before the cut is read; damaged before
// it, the journal is refused with words that help.
func TestTornTail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal")
	j, _, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	first, last := someRecords()[:3], someRecords()[3:]
	if err := j.append(first); err != nil {
		t.Fatal(err)
	}
	if err := j.sync(); err != nil {
		t.Fatal(err)
	}
	safe := int(j.size)
	if err := j.append(last); err != nil {
		t.Fatal(err)
	}
	j.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(b []byte) ([]Record, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, got, err := openJournal(path)
		if err == nil {
			j.close()
		}
		return got, err
	}
	for cut := safe; cut < len(whole); cut++ {
		for _, tail := range []string{"", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "garbage that is long enough"} {
			got, err := open(append(append([]byte(nil), whole[:cut]...), tail...))
			if err != nil || len(got) < len(first) || len(got) > len(first)+len(last) {
				t.Fatalf("cut at %d: %d records, %v", cut, len(got), err)
			}
		}
	}
	for at := len(journalMagic); at < safe-recordHead-1; at++ {
		broken := append([]byte(nil), whole...)
		broken[at] ^= 0x55
		if _, err := open(broken); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Fatalf("damage at %d: %v", at, err)
		}
	}
	if _, err := open([]byte("something else")); err == nil {
		t.Error("a foreign file was taken for a journal")
	}
}

func TestOutputsOfAProcess(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, want, wrong string }{
		{"none", "", "map[]", ""},
		{"object", `{"a": 1, "b": "x"}`, `map[a:1 b:"x"]`, ""},
		{"two objects", "{\"a\": 1}\n{\"a\": 2}\n", "map[a:2]", ""},
		{"malformed", "{\"a\": 1,\n  oops}", "", "line 2, column 3"},
		{"half", `{"a": `, "", "ends in the middle"},
		{"no object", `[1]`, "", "expected a JSON object"},
		{"too many", `{"a": "` + strings.Repeat("x", flow.MaxOutputsPerTask) + `"}`, "", "64 KiB"},
		{"10 MB", strings.Repeat("x", 10<<20), "", "10240 KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "output")
			if tt.name != "none" {
				if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var f findings
			out, err := f.outputs(path)
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("got %v, want %q", err, tt.wrong)
				}
				return
			}
			got := map[string]string{}
			for k, v := range out {
				got[k] = string(v)
			}
			if err != nil || fmt.Sprint(got) != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
