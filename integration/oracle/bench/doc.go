// Package bench measures KalamDB's planner and operators beside DuckDB in the
// same process, over the same rows in memory, each on one core: TPC-H at scale
// factor 0.1, and scans, filters and aggregates over three million flights.
// The storage is not measured: both sides read columns that are in memory
// already, and both know the smallest and largest values of blocks, as our
// segments and DuckDB's tables do.
//
//	go test ./bench -run Compare -v -rounds 5
//
// prints a table of medians and ratios. It asserts nothing about times.
package bench
