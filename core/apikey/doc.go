// Package apikey keeps API keys: which user each one stands for, and when it
// was used last.
//
// A key is 256 random bits behind a public id, and is shown once, when it is
// made. Only its SHA-256 is kept. A slow hash such as bcrypt protects what
// people choose, because that can be guessed; 256 random bits cannot, so a slow
// hash would only make every request slow.
//
// All keys are in memory, so that a request costs one look-up and one
// comparison in constant time. What is created or dropped is written before it
// takes effect. The time of last use is exact in memory and written now and
// then, in one batch for all keys that were used: after a crash it may be older
// by SaveInterval, never newer.
package apikey
