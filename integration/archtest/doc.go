// Package archtest keeps the structure of the code as it was meant: who may
// import what and why, and that every package says what it is for. It has no
// code of its own; its tests read the sources of the whole repository.
package archtest
