// Package faultkv wraps a backend and makes its calls fail, wait or crash, as
// a test's script says: the third write fails, drops of this table wait until
// the test lets them go, the process "dies" after the fifth commit. The same
// calls in the same order meet the same faults.
//
//	b := faultkv.New(memkv.New(memkv.Options{}),
//		faultkv.On(faultkv.Write).Skip(2).Times(1).Fail(faultkv.ErrDiskFull))
//
// A crash is the end of the wrapper, not of what it wraps: every later call
// answers ErrCrashed and reaches the wrapped backend no more, not even Close.
// So a test opens the wrapped backend's data again, as a new process would.
package faultkv
