// Settings of the cluster: what there is, and what a value must be.

package api

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"baton/internal/flow"
)

// Setting is a setting of the cluster.
type Setting struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Default string `json:"default" doc:"Value while nobody has set one"`
	Text    string `json:"text" doc:"What it is for"`
	// Warning is said of a value when it is set.
	Warning *string `json:"warning,omitempty" doc:"What the value that was set does not do"`
}

// Settings of the cluster.
const (
	SettingLease     = "lease"
	SettingRetention = "retention"
	SettingBalance   = "balance"
)

// shortestRetention keeps a slip of the pen from deleting everything that ended today.
const shortestRetention = time.Hour

// setting is what is known of one.
type setting struct {
	def, text string
	check     func(string) error
}

var settings = map[string]setting{
	SettingLease: {
		"10s", "how long a silent node is trusted: a dead one is replaced after that, and so is one that is frozen or cut off for longer",
		func(v string) error {
			if _, err := flow.ParseLease(v); err != nil {
				return flow.Errorf(flow.CodeBadRequest, "value", "lease: %s", err)
			}
			return nil
		},
	},
	SettingRetention: {
		DefaultRetention, "how long ended runs are kept, 0s for ever",
		func(v string) error {
			d, err := flow.ParseDuration(v)
			if err != nil || d != 0 && d.Std() < shortestRetention {
				return flow.Errorf(flow.CodeBadRequest, "value", "retention %s: write a duration between %s and %s, such as 90d, or 0s to keep runs for ever",
					v, flow.Duration(shortestRetention), flow.MaxDuration)
			}
			return nil
		},
	},
	SettingBalance: {
		string(flow.LeastLoaded), "how a worker is chosen among those with a free place: least_loaded, random, round_robin or weighted, and GROUP=STRATEGY for single worker groups",
		func(v string) error {
			if _, err := flow.ParseBalance(v); err != nil {
				return flow.Errorf(flow.CodeBadRequest, "value", "%s", err)
			}
			return nil
		},
	},
}

func settingOf(key, value string) Setting {
	known := settings[key]
	if value == "" {
		value = known.def
	}
	return Setting{Key: key, Value: value, Default: known.def, Text: known.text}
}

func (s *Server) listSettings(ctx context.Context, _ *none) (*body[List[Setting]], error) {
	values, err := s.store.Settings(ctx)
	keys := slices.Sorted(maps.Keys(settings))
	return listOf(flow.Page[string]{Items: keys}, func(key string) Setting { return settingOf(key, values[key]) }), err
}

// SettingPath names a setting.
type SettingPath struct {
	Key string `path:"key"`
}

func (in SettingPath) check() error {
	if _, known := settings[in.Key]; !known {
		return flow.Errorf(flow.CodeNotFound, "key", "there is no setting %q; there are %s", in.Key, strings.Join(slices.Sorted(maps.Keys(settings)), ", "))
	}
	return nil
}

// CheckSetting refuses a setting that there is not, and a value that it cannot have.
func CheckSetting(key, value string) error {
	if err := (SettingPath{key}).check(); err != nil {
		return err
	}
	return settings[key].check(value)
}

func (s *Server) getSetting(ctx context.Context, in *SettingPath) (*body[Setting], error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	value, err := s.store.Setting(ctx, in.Key)
	return &body[Setting]{settingOf(in.Key, value)}, err
}

type setSettingIn struct {
	SettingPath
	Body struct {
		Value string `json:"value" maxLength:"256"`
	}
}

func (s *Server) setSetting(ctx context.Context, in *setSettingIn) (*body[Setting], error) {
	if err := CheckSetting(in.Key, in.Body.Value); err != nil {
		return nil, err
	}
	if err := s.store.SetSetting(ctx, in.Key, in.Body.Value); err != nil {
		return nil, err
	}
	out := settingOf(in.Key, in.Body.Value)
	if in.Key == SettingBalance {
		b, _ := flow.ParseBalance(in.Body.Value) // checked
		groups := map[string]string{}
		for g := range b.Groups {
			groups[g] = ""
		}
		if warnings, err := s.unserved(ctx, groups, unlessDeclared); err == nil && len(warnings) > 0 {
			out.Warning = text(strings.Join(warnings, "; "))
		}
	}
	return &body[Setting]{out}, nil
}
