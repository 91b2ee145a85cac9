// kind: Pool, and what a task takes of one.

package spec

import (
	"cmp"
	"strconv"

	yaml "go.yaml.in/yaml/v4"

	"baton/internal/flow"
)

// maxSlots of a pool.
const maxSlots = 1_000_000

var poolKeys = newTable("a pool",
	kindKey[flow.Pool](kindPool),
	field("project", "Project it belongs to.", asName, func(p *flow.Pool) *string { return &p.Project }),
	field("name", "Name that tasks give in `pool`.", asName, func(p *flow.Pool) *string { return &p.Name }).must(),
	field("description", "What it is for, for people.", asText, func(p *flow.Pool) *string { return &p.Description }),
	key[flow.Pool]{
		name: "slots", doc: "How many there are, at first: `baton pool set` changes it for good. Of 0 nothing is given.",
		aka: []string{"size", "groupSize", "capacity", "limit"}, required: true,
		schema: whole(0, maxSlots).schema,
		read: func(r *reader, v value, p *flow.Pool) {
			if n, ok := whole(0, maxSlots).read(r, v); ok {
				p.Slots = n
			}
		},
		write: func(p *flow.Pool) *yaml.Node { return plainNode("!!int", strconv.Itoa(p.Slots)) },
	},
	field("closed", "True: nothing is given, at first; `baton pool close` and `open` change it for good.", defaulting(asBoolean, false), func(p *flow.Pool) *bool { return &p.Closed }),
)

func (r *reader) pool(doc value, project string) *flow.Pool {
	var p flow.Pool
	poolKeys.read(r, doc, &p)
	p.Project = cmp.Or(p.Project, project)
	return &p
}

var poolUseKeys = newTable("a pool of a task",
	field("name", "Name of a Pool of the project.", asName, func(u *flow.PoolUse) *string { return &u.Name }).must(),
	field("slots", "How many of its slots it takes.", defaulting(whole(1, maxSlots), 1), func(u *flow.PoolUse) *int { return &u.Slots }).alias("weight"),
	field("key", "Text with ${…}: each key has the slots of the pool to itself.", asText, func(u *flow.PoolUse) *string { return &u.Key }),
)

// asPoolUse is the name of a pool, or a map.
var asPoolUse = shape[flow.PoolUse]{
	schema: func() object { return object{"anyOf": []any{asName.schema(), poolUseKeys.schema()}} },
	read: func(r *reader, v value) (flow.PoolUse, bool) {
		var u flow.PoolUse
		if v.isMap() {
			return u, poolUseKeys.read(r, v, &u)
		}
		if !v.isScalar() || v.isNull() {
			r.expected(v, "the name of a pool, or a map such as {name: dw, slots: 2}")
			return u, false
		}
		name, ok := asName.read(r, v)
		u.Name = name
		return u, ok
	},
	write: func(u flow.PoolUse) *yaml.Node {
		if u.Slots == 0 && u.Key == "" {
			return textNode(u.Name)
		}
		n := poolUseKeys.write(&u)
		n.Style = yaml.FlowStyle
		return n
	},
}
