// Package timetable decides what becomes of the times of a schedule: which are fired now, which are left out and
// why, and when to look again. The same answers make the preview that people see.
//
// It knows schedules and calendars as package flow says them, and asks package cron when they fire. It must not
// know the clock (every question brings its moment), stores, masters, or runs. It is pure: no clock, no I/O, no
// goroutine.
package timetable
