// Package vector holds column vectors and batches of rows: the form in which
// rows travel from the storage codecs through the executor to the encoders.
//
// A vector's buffers have Apache Arrow's layout (typed values, a validity
// bitmap in little-endian bit order, 32-bit string offsets into one run of
// bytes), with two departures that make kernels simple: booleans take a byte
// each, and all integer kinds are held as 64 bits. Parquet and IPC convert at
// their edge.
//
// Buffers live on the Go heap: nothing is reference-counted. A batch that an
// operator returns is valid until that operator's next call; whoever keeps
// rows longer copies them (Vector.Gather, Builder).
package vector
