//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package repl

import "os"

// eachKey cannot be done here: lines are typed as the terminal has it.
func eachKey(*os.File) (restore func(), ok bool) { return nil, false }
