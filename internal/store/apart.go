// Apart: decisions about many things that have nothing to do with each other.

package store

import (
	"context"
	"errors"
	"fmt"
)

// apart decides about each of many, in a transaction of its own: one that cannot be decided about now holds up no
// other, and is to be asked for again, as is one of which did says that there is more. It is an error only when all
// fail, for then nothing was done.
func apart[K, R any](ctx context.Context, m *Master, keys []K, named func(K) string, do func(querier, K) (R, error), did func(K, R) (more bool)) (again []K, err error) {
	var faults []error
	for _, k := range keys {
		var result R
		err := m.write(ctx, forEngine, func(q querier) (err error) {
			result, err = do(q, k)
			return err
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", named(k), err))
		}
		if err != nil || did(k, result) {
			again = append(again, k)
		}
	}
	if len(faults) < len(keys) {
		return again, nil
	}
	return nil, errors.Join(faults...)
}
