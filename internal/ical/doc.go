// Package ical reads days of rest and of work out of iCalendar files (RFC 5545), as
// governments, offices and calendar programs publish them.
//
// Bytes and a range of years in, dates with names out. What it must not know: where
// the bytes come from, the clock, what a calendar of this program is, and who asks.
// It is bounded: [MaxBytes] of file, [MaxDates] of answer.
//
// Errors are of type [*flow.Error], with the line of the event at fault and a remedy.
package ical
