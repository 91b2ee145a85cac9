package reasons

import (
	"os"
	"testing"

	"baton/internal/store/storetest/pgtest"
	"baton/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(func() int { return pgtest.Main(m) })) }
