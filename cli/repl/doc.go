// Package repl is the program behind kalam-cli: it reads statements and
// backslash commands from a terminal, a file, the command line or a pipe, runs
// them through link, and shows what comes back.
//
// Results go to the output, everything else (notices, errors, progress) to the
// error output, so that what a program reads is clean. Ctrl+C cancels the
// statement that runs, never the program, while somebody sits at the terminal.
package repl
