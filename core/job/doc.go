// Package job runs what takes long, such as a flush, beside the statements that
// asked for it, and keeps account of it.
//
// A job is recorded in the backend before it runs, when it begins and when it
// ends, so that it is known what a server was doing when it died: Open gives
// those jobs the state failed and hands them out, to be run again. Finished
// jobs are kept for a while.
//
// Jobs of the same key run one after the other, in the order of their coming;
// how many run at a time is bounded. A job's processor time is that of the
// thread that it has for itself; its memory is the most that it says it held at
// once.
//
// What a job does is its Func's business: this package knows no tables.
package job
