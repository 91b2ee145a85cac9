package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// Who depends on a run is looked for before anything is ordered.
func TestRerunDownstreamRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run := w.start().String()
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/api/v1/instances/" + run + "/rerun?downstream=true", http.StatusConflict, "the run is submitted: it goes on as it is"},
		{"/api/v1/instances/99/rerun?downstream=true", http.StatusNotFound, "99"},
		{"/api/v1/instances/x/rerun?downstream=true", http.StatusBadRequest, "x"},
		{"/api/v1/instances/" + run + "/rerun?downstream=perhaps", http.StatusBadRequest, "downstream"},
	} {
		if a := w.do(http.MethodPost, c.path, ""); a.status != c.status || !strings.Contains(a.body, c.want) {
			t.Errorf("%s: %d %s", c.path, a.status, a.body)
		}
	}
	if a := w.do(http.MethodGet, "/api/v1/instances/"+run, ""); strings.Contains(a.body, `"verb":"rerun"`) {
		t.Errorf("refused, and there: %s", a.body)
	}
}
