package harness

import (
	"os"
	"os/exec"
	"syscall"
)

// canConfine tells whether a process may be put into a root of its own.
func canConfine() bool { return os.Getuid() == 0 }

// confine has a command run in a root directory, as a user without rights.
func confine(cmd *exec.Cmd, root string, uid int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     root,
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)},
		Pdeathsig:  syscall.SIGKILL,
	}
}
