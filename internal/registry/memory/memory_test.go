package memory_test

import (
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"baton/internal/registry"
	"baton/internal/registry/memory"
	"baton/internal/registry/registrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type link struct{ *memory.Client }

func (l link) Cut()   { l.Reach(false) }
func (l link) Stall() { l.Reach(false) }
func (l link) Heal()  { l.Reach(true) }

func TestRegistry(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, registrytest.Backend{
		Lease: 2 * time.Second,
		Local: func(testing.TB) func(testing.TB) (registry.Registry, registrytest.Link) {
			hub := memory.NewHub()
			return func(t testing.TB) (registry.Registry, registrytest.Link) {
				c, err := memory.Open(t.Context(), hub, slog.New(slog.NewTextHandler(t.Output(), nil)))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				})
				return c, link{c}
			}
		},
	})
}
