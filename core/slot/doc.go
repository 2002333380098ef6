// Package slot decides which statements compute now, which wait for a place,
// and which are refused, so that an overloaded server stays quick for what it
// takes instead of becoming slow for everybody.
//
// A Gate has a few places for each core. A statement takes one when it begins
// and gives it back when it ends; while it waits for something that is not the
// processor (the commit's sync, a bucket, a job, a client who reads slowly) it
// lends its place to others. So a place stands for processor time, and any
// number of writers can wait for one sync together.
//
// Who finds no place waits in turn: each user has a queue, and the users take
// turns, so that one user's flood is that user's own delay. The wait is bounded
// in three ways. Of all that is under way, running, lent or waiting, there is
// at most a number. Nobody waits longer than a time. And where many wait, one
// who would wait for more than a sixteenth of that time is refused at once: the
// answer "come back later" is worth most when it comes soon. Small requests may
// wait before they even come to the gate, which is told of that (see Delayed).
//
// Long statements have places of their own, one for each core. One that keeps
// its place for 100 ms beside others goes on in the second lane and leaves the
// first to them; the gate remembers its text without the constants, and for how
// long it had a place, and the next time it begins in the second lane. So
// reports do not stand in the way of lookups, and the other way round. In the
// second lane as well users take turns: a query that calls Pause stands still
// while it is another user's. What would wait there for too long, or not come
// to its end within its time limit, is refused at once.
package slot
