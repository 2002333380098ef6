// Package filter decides which filters a changed row concerns without asking
// each of them. It owns the index of filters by the values in their equality
// conjuncts, and the interface through which a compiled WHERE clause and
// projection are evaluated.
package filter
