package trigger

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"baton/internal/flow"
)

const second = flow.Time(1_000_000)

func arrivals(since flow.Time, params ...flow.Pair) flow.Outside {
	settled := flow.Duration(2 * time.Second)
	return flow.Outside{
		Since: since,
		TriggerStanding: flow.TriggerStanding{
			ID: 1, Revision: 2, Project: 3, Workflow: 4, ProjectName: "p", Zone: "UTC", Priority: flow.PriorityHigh,
			Body: flow.Trigger{Name: "t", File: &flow.Arrival{Path: "/in/*", Settled: &settled}, Params: params},
		},
	}
}

func found(name string, size int64, came flow.Time) flow.FoundFile {
	return flow.FoundFile{FileVersion: flow.FileVersion{Path: "/in/" + name, Size: size, Modified: int64(came) * 1000}, CameAt: came}
}

// looks has decisions written until there is no more to say, and returns the causes of what started.
func looks(t *testing.T, s *Sight, now flow.Time, files ...flow.FoundFile) (causes []string) {
	t.Helper()
	found := s.Look(files, now)
	for {
		d, some := found.Next()
		if !some {
			break
		}
		fired := 0
		for _, start := range d.Starts {
			if start.State == flow.StartFired {
				fired++
				causes = append(causes, start.Cause)
			} else {
				causes = append(causes, "["+start.Cause+"]")
			}
		}
		if fired != len(d.Commands) {
			t.Fatalf("%d runs of %d starts", len(d.Commands), fired)
		}
		s.Wrote(d)
	}
	return causes
}

func TestArrivals(t *testing.T) {
	t.Parallel()
	s := NewSight(arrivals(100*second, flow.Pair{Name: "f", Value: "${{ file.name }} ${{ file.size }} ${{ file.path }} ${{ file.modified_at }}"}), nil)
	old, a, grown := found("old", 1, 50*second), found("a", 1, 101*second), found("a", 2, 103*second)
	for _, step := range []struct {
		at    flow.Time
		files []flow.FoundFile
		want  string
	}{
		{102, []flow.FoundFile{old, a, a, old}, "[1 files were there before]"}, // old was there before, a is not settled
		{103, []flow.FoundFile{old, grown}, ""},                                // it grew
		{104, []flow.FoundFile{old, grown}, ""},                                // and may grow
		{105, []flow.FoundFile{old, grown}, "file /in/a (2 bytes)"},            // 2s as it is
		{106, []flow.FoundFile{old, grown}, ""},                                // once
		{107, nil, ""},                                                         // the disk is away
		{120, []flow.FoundFile{old, grown}, ""},                                // and back
		{130, []flow.FoundFile{found("old", 1, 128*second)}, ""},               // written again: another file
		{132, []flow.FoundFile{found("old", 1, 128*second)}, "file /in/old (1 bytes)"},
	} {
		if got := strings.Join(looks(t, s, step.at*second, step.files...), ", "); got != step.want {
			t.Errorf("at %d: %q, want %q", step.at, got, step.want)
		}
	}
}

func TestWhatARunIsTold(t *testing.T) {
	t.Parallel()
	o := arrivals(1, flow.Pair{Name: "f", Value: "${{ file.name }}|${{ file.size }}|${{ file.path }}"}, flow.Pair{Name: "day", Value: "$[yyyyMMdd]"})
	*o.Body.File.Settled = 0
	d, _ := NewSight(o, nil).Look([]flow.FoundFile{found("${x}.csv", 7, 200*second)}, 300*second).Next()
	var start flow.Start
	if err := json.Unmarshal(d.Commands[0].Start, &start); err != nil {
		t.Fatal(err)
	}
	if start.DataTime != 200*second || start.By != "t" || start.Trigger != flow.TriggerTrigger || d.Commands[0].Priority != flow.PriorityHigh {
		t.Errorf("%+v %+v", start, d.Commands[0])
	}
	if want := map[string]string{"f": "$${x}.csv|7|/in/$${x}.csv", "day": "$[yyyyMMdd]"}; !maps.Equal(start.Params, want) {
		t.Errorf("%v", start.Params)
	}
	o.Body.Params = []flow.Pair{{Name: "f", Value: "${{ file.nothing.at }}"}}
	d, _ = NewSight(o, nil).Look([]flow.FoundFile{found("a", 7, 200*second)}, 300*second).Next()
	if len(d.Commands) != 0 || !d.Starts[0].Failed || d.Starts[0].State != flow.StartSkipped || !strings.Contains(d.Starts[0].Reason, `parameter "f"`) || len(d.Fresh) != 1 {
		t.Errorf("%+v", d)
	}
}

// The first look of a folder that holds more than one decision says begins no run before all of it is known.
func TestManyFilesThere(t *testing.T) {
	t.Parallel()
	o := arrivals(100 * second)
	*o.Body.File.Settled = 0
	s := NewSight(o, nil)
	files := []flow.FoundFile{found("new", 1, 101*second)}
	for i := range changesAtOnce + 10 {
		files = append(files, found(fmt.Sprint(i), 1, second))
	}
	f := s.Look(files, 102*second)
	d, more := f.Next()
	if !more || len(d.Fresh) != changesAtOnce || len(d.Starts) != 0 || d.LookedAt != 0 {
		t.Fatalf("%d fresh, %d starts, more %t, looked at %d", len(d.Fresh), len(d.Starts), more, d.LookedAt)
	}
	// Whoever looks dies, and the next one knows what was written: the first look is not over.
	s = NewSight(o, nil)
	s.Wrote(d)
	if got := looks(t, s, 103*second, files...); !slices.Equal(got, []string{"[10 files were there before]", "file /in/new (1 bytes)"}) {
		t.Error(got)
	}
	files = nil
	for i := range startsAtOnce*2 + 1 {
		files = append(files, found(fmt.Sprintf("late%03d", i), 1, 200*second))
	}
	if got := looks(t, s, 201*second, files...); len(got) != len(files) || !slices.IsSorted(got) {
		t.Errorf("%d starts of %d files", len(got), len(files))
	}
}

func TestWhatWentIsForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	a := found("a", 1, second)
	s := NewSight(arrivals(100*second), []flow.KnownFile{{FileVersion: a.FileVersion}})
	d, _ := s.Look(nil, 200*second).Next()
	if len(d.Changed) != 1 || d.Changed[0].GoneAt != 200*second {
		t.Fatalf("%+v", d)
	}
	s.Wrote(d)
	if d, _ = s.Look(nil, 200*second+flow.Time(KeepGone/time.Microsecond)).Next(); !d.Empty() {
		t.Errorf("%+v", d)
	}
	if d, _ = s.Look(nil, 201*second+flow.Time(KeepGone/time.Microsecond)).Next(); !slices.Equal(d.Forgot, []flow.FileVersion{a.FileVersion}) {
		t.Errorf("%+v", d)
	}
}

// Each version of a file that stays long enough is counted once, whoever looks: what a master saw and did not write is lost
// with it, and what it wrote without learning so is known to the next.
func TestEachFileOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := arrivals(0)
		settled := o.Body.File.SettledOr().Std()
		written := map[flow.FileVersion]flow.Time{} // of the store
		looked := flow.Time(0)
		counted := map[flow.FileVersion]int{}
		there := map[string]flow.FoundFile{}
		steady := map[flow.FileVersion]flow.Time{} // since when, of those that every look saw
		var known []flow.KnownFile
		s := NewSight(o, nil)
		now := second
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += flow.Time(rapid.IntRange(100_000, 3_000_000).Draw(t, "pause"))
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0:
				there[name] = found(name, int64(rapid.IntRange(0, 2).Draw(t, "size")), now)
			case 1:
				delete(there, name)
			case 2: // another master
				known = known[:0]
				for v, gone := range written {
					known = append(known, flow.KnownFile{FileVersion: v, GoneAt: gone})
				}
				o.LookedAt = looked
				s = NewSight(o, known)
				clear(steady)
			default:
				files := slices.Collect(maps.Values(there))
				for _, f := range files {
					if _, seen := steady[f.FileVersion]; !seen {
						steady[f.FileVersion] = now
					}
				}
				maps.DeleteFunc(steady, func(v flow.FileVersion, _ flow.Time) bool {
					return there[strings.TrimPrefix(v.Path, "/in/")].FileVersion != v
				})
				d, _ := s.Look(files, now).Next()
				if rapid.IntRange(0, 9).Draw(t, "fails") == 0 { // it was not written
					continue
				}
				for _, v := range d.Fresh {
					if _, known := written[v]; known {
						t.Fatalf("%s is fresh again", v)
					}
					written[v] = 0
					counted[v]++
				}
				for _, k := range d.Changed {
					written[k.FileVersion] = k.GoneAt
				}
				looked = max(looked, d.LookedAt)
				s.Wrote(d)
				for v, since := range steady {
					if now.Sub(since) >= settled && counted[v] != 1 {
						t.Fatalf("%s is as it is since %s, and counted %d times at %s", v, since, counted[v], now)
					}
				}
			}
		}
	})
}

func listening(missed flow.MissedPolicy, params ...flow.Pair) flow.Outside {
	o := arrivals(0, params...)
	o.Body.File, o.Body.Notify = nil, &flow.Notify{DataSource: "dw", Channel: "orders", Missed: missed}
	return o
}

func TestHear(t *testing.T) {
	t.Parallel()
	o := listening("", flow.Pair{Name: "id", Value: "${{ payload.id ?? payload }} ${{ channel }} ${{ missed }}"})
	notices := []flow.Notice{
		{Key: "s:1", Channel: "orders", Payload: `{"id": 7}`, PID: 5, At: 10},
		{Key: "s:2", Channel: "orders", Payload: `{"id": "${x}"}`, PID: 5, At: 20},
	}
	d, taken := Hear(o, nil, notices, 30)
	if taken != 2 || len(d.Commands) != 2 || d.Starts[0].Key != "s:1" || d.Starts[0].Cause != `notification of process 5: {"id": 7}` {
		t.Fatalf("%d taken: %+v", taken, d)
	}
	for i, want := range []string{"7 orders false", "$${x} orders false"} {
		var start flow.Start
		if err := json.Unmarshal(d.Commands[i].Start, &start); err != nil || start.Params["id"] != want || start.DataTime != notices[i].At {
			t.Errorf("%+v, %v", start, err)
		}
	}
	many := make([]flow.Notice, startsAtOnce+1)
	if d, taken := Hear(o, nil, many, 30); taken != startsAtOnce || len(d.Starts) != startsAtOnce {
		t.Errorf("%d of %d", taken, len(d.Starts))
	}
	plain := listening("", flow.Pair{Name: "said", Value: "${{ payload }}"})
	d, _ = Hear(plain, nil, []flow.Notice{{Payload: "order 7"}}, 30)
	if !strings.Contains(string(d.Commands[0].Start), `"said":"order 7"`) {
		t.Errorf("%s", d.Commands[0].Start)
	}
}

// A time in which nobody listened is recorded, and made up for once where that is wanted.
func TestNobodyListened(t *testing.T) {
	t.Parallel()
	gap := &Gap{Key: "s:gap", From: second, To: 60 * second, Why: "the database was away"}
	d, _ := Hear(listening(""), gap, []flow.Notice{{Key: "s:1", Payload: "x"}}, 61*second)
	if len(d.Starts) != 2 || d.Starts[0].State != flow.StartSkipped || len(d.Commands) != 1 || d.Starts[0].Key != "s:gap" ||
		d.Starts[0].Cause != "perhaps nobody listened from 1970-01-01T00:00:01Z to 1970-01-01T00:01:00Z: the database was away" {
		t.Errorf("%+v", d)
	}
	d, _ = Hear(listening(flow.MissedOnce, flow.Pair{Name: "all", Value: "${{ missed }}${{ payload == nil }}"}), gap, nil, 61*second)
	var start flow.Start
	if len(d.Commands) != 1 || json.Unmarshal(d.Commands[0].Start, &start) != nil || start.Params["all"] != "truetrue" || start.DataTime != 60*second {
		t.Errorf("%+v %+v", d, start)
	}
}
