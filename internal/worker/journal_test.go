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
		{Kind: RecordSession, Session: 7, Gen: 3},
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
