// Package window tells which stretches of time a dependent looks at: "the last two
// days", as DolphinScheduler words it, seen from a data time in a zone.
//
// A [Window] is one word of a cycle; its [Interval] list is what must have run. Hours
// and days are those of the zone's clocks and leave nothing out between them, also
// where clocks are changed:
//
//   - An hour lasts from one moment at which clocks show a whole hour to the next.
//     One that is shown twice is two hours, one that is left out is none. Where clocks
//     change by half an hour, the hour around the change has 30 or 90 minutes. So what
//     fires on every whole hour fires once in each.
//   - A day begins at the first moment of its date, and lasts until the next one does:
//     23, 24 or 25 hours. A date that a zone left out altogether is no day.
//   - A week begins on monday.
//
// What it must not know: the clock (every question brings its data time), runs and
// workflows, whether anything ran in a window, and what a missing run means. It is
// pure: no clock, no I/O, no goroutine; time zones are handed in.
//
// Errors are of type [*flow.Error], with the field at fault and the nearest word.
package window
