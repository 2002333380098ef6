package builtin

// The window functions are declared here and run by the executor, which alone
// knows partitions and frames. first_value, last_value and the aggregates may
// have OVER, too.
func init() {
	s := section{"window", Window}
	w := func(sig, doc string) { s.def(sig, doc, nil, lenient) }
	w("row_number() bigint", "Numbers the rows of the partition from 1.")
	w("rank() bigint", "Gives the rank of the row, with gaps behind equals.")
	w("dense_rank() bigint", "Gives the rank of the row, without gaps.")
	w("percent_rank() double", "Gives the rank relative to the partition, from 0 to 1.")
	w("cume_dist() double", "Gives the share of rows that come before or equal the row.")
	w("ntile(int) int", "Divides the partition into parts of about one size and gives the row's part.")
	w("lag(anyelement) anyelement; lag(anyelement, int) anyelement; lag(anyelement, int, anyelement) anyelement", "Gives the value of an earlier row.")
	w("lead(anyelement) anyelement; lead(anyelement, int) anyelement; lead(anyelement, int, anyelement) anyelement", "Gives the value of a later row.")
	w("nth_value(anyelement, int) anyelement", "Gives the value of the n-th row of the frame.")
}
