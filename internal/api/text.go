// Texts of requests: what no store keeps is refused at the door.

package api

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// reading is the form of requests and answers. huma reads a request twice, first as anything, to hold it against the
// schema: there its texts are looked at.
func reading(formats map[string]huma.Format) map[string]huma.Format {
	out := maps.Clone(formats)
	for name, f := range out {
		read := f.Unmarshal
		f.Unmarshal = func(data []byte, v any) error {
			if err := read(data, v); err != nil {
				return err
			}
			anything, first := v.(*any)
			if !first {
				return nil
			}
			if at, found := findNUL("", *anything); found {
				return fmt.Errorf(`%s holds the character NUL (\u0000), which no text may hold; leave it out`, strings.TrimPrefix(at, "."))
			}
			return nil
		}
		out[name] = f
	}
	return out
}

// findNUL finds the first text, or name of a field, that holds the character NUL, which PostgreSQL does not store.
func findNUL(at string, v any) (place string, found bool) {
	switch v := v.(type) {
	case string:
		return at, strings.Contains(v, "\x00")
	case []any:
		for i, one := range v {
			if place, found = findNUL(at+"["+strconv.Itoa(i)+"]", one); found {
				return place, true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if strings.Contains(name, "\x00") {
				return at + "." + strconv.Quote(name), true
			}
			if name == "content" && strings.HasPrefix(at, ".files[") {
				continue // a file, whose reader says in which line it is
			}
			if place, found = findNUL(at+"."+name, v[name]); found {
				return place, true
			}
		}
	}
	return "", false
}
