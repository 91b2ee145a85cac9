// Package storetest is the conformance suite of a store: what every database must do, in terms of
// what masters and the API see.
package storetest

import (
	"testing"

	"baton/internal/store"
)

// Open returns a fresh store that ends with the test.
type Open func(t testing.TB) *store.DB

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*world)
	}{
		{"commit/keeps every field", testFields},
		{"commit/a step", testStep},
		{"commit/gone", testGone},
		{"commit/one gone among many", testGoneAmongMany},
		{"commit/poison among many", testPoison},
		{"commit/only poison", testOnlyPoison},
		{"commit/what it refuses itself", testRefused},
		{"commit/past, inbox, alerts", testBelongings},
		{"commit/fenced", testFenced},
		{"commit/nothing", testEmpty},
		{"commit/large batch", testLargeBatch},
		{"commit/fan-out", testFanOut},
		{"commit/tokens grow", testTokens},
		{"commit/model", testModel},
		{"claim/what is due", testClaimDue},
		{"claim/what has news", testClaimNews},
		{"claim/never twice", testClaimOnce},
		{"claim/newer engine", testNewerEngine},
		{"claim/take over", testTakeOver},
		{"claim/deadly runs", testDeadly},
		{"commands/trials", testTrials},
		{"claim/waiting", testWaiting},
		{"nodes/crashed", testCrashed},
		{"nodes/heartbeats", testHeartbeats},
		{"quarantine/instance", testQuarantine},
		{"quarantine/command", testQuarantineCommand},
		{"quarantine/verbs", testQuarantinedVerbs},
		{"nodes/numbers", testNumbers},
		{"nodes/same home", testSameHome},
		{"nodes/list", testNodes},
		{"cluster/peers", testPeers},
		{"cluster/condemn", testCondemn},
		{"cluster/hand out", testHandOut},
		{"cluster/dead heirs", testDeadHeirs},
		{"cluster/end of a session", testEndSession},
		{"cluster/groups served", testServedGroups},
		{"cluster/readmitted session", testReadmit},
		{"cluster/late hello", testLateHello},
		{"cluster/drain", testDrain},
		{"cluster/give away", testGiveAway},
		{"cluster/holding", testHolding},
		{"cluster/started anew", testStartedAnew},
		{"commands/idempotent", testSubmit},
		{"commands/key outlives", testKeyOutlives},
		{"commands/submitted at once", testSubmitRace},
		{"orders/of waiting commands", testOrderedCommands},
		{"commands/order", testCommandOrder},
		{"inbox/dedup", testDedup},
		{"inbox/outcomes", testOutcomes},
		{"inbox/of a command", testInboxOfCommand},
		{"inbox/only the owner's", testInboxOwner},
		{"runs/one", testRun},
		{"runs/attempts", testAttempts},
		{"runs/filters", testFilters},
		{"runs/paging under inserts", testPaging},
		{"runs/alerts", testAlerts},
		{"definitions/versions", testVersions},
		{"definitions/rename", testRename},
		{"definitions/lists", testDefinitionLists},
		{"definitions/applied at once", testApplyRace},
		{"definitions/all or nothing", testApplyAtomic},
		{"definitions/resources", testBlobs},
		{"environments/versions", testEnvironments},
		{"environments/applied at once", testEnvironmentRace},
		{"environments/worker groups", testWorkerGroups},
		{"commands/tried by the living", testTrialsOfTheLiving},
		{"commit/other runs", testOthers},
		{"commit/followers", testFollowers},
		{"commit/upstreams", testUpstreams},
		{"backfills/in order", testBackfill},
		{"backfills/whole", testBackfillIsWhole},
		{"backfills/advanced at once", testBackfillRace},
		{"backfills/halted by a failure", testBackfillHalts},
		{"backfills/paused", testBackfillPauses},
		{"backfills/stopped", testBackfillStops},
		{"backfills/pruned", testBackfillPrune},
		{"backfills/bounds", testBackfillBounds},
		{"turns/in order", testTurns},
		{"turns/discard", testTurnsDiscard},
		{"turns/of the newest", testTurnsOfTheNewest},
		{"turns/given at once", testTurnsRace},
		{"turns/in order of submission", testTurnsInOrder},
		{"turns/of many workflows", testTurnsOfMany},
		{"pools/claims of a change", testClaims},
		{"pools/slots", testSlots},
		{"pools/keys", testSlotsOfKeys},
		{"pools/given at once", testSlotsRace},
		{"pools/order", testSlotsInOrder},
		{"pools/changed live", testPoolChanged},
		{"pools/what is left behind", testSlotsSwept},
		{"pools/of quarantined runs", testSlotsQuarantined},
		{"pools/of many keys", testSlotsOfMany},
		{"pools/as files say them", testPoolFiles},
		{"pools/shown", testPoolShown},
		{"schedules/disabled while due", testDisabledWhileDue},
		{"schedules/alert", testFireBesideAnApply},
		{"schedules/many rows", testFireManyRows},
		{"schedules/as files say them", testSchedules},
		{"schedules/due", testDue},
		{"schedules/fire", testFire},
		{"schedules/fired at once", testFireRace},
		{"schedules/across an edit", testFireAcrossAnEdit},
		{"schedules/before the first look", testEditBeforeTheFirstLook},
		{"schedules/calendars", testCalendars},
		{"registry/members", testRegistryMembers},
		{"registry/names", testRegistryNames},
		{"registry/race", testRegistryRace},
		{"registry/told", testRegistryTold},
		{"upkeep/prune", testPrune},
		{"upkeep/stray", testStray},
		{"upkeep/untaken", testUntaken},
		{"upkeep/settings", testSettings},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(newWorld(t, open))
		})
	}
}
