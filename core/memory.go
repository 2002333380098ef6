package core

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/config"
)

const (
	// assumedMemory is what a machine has that does not tell.
	assumedMemory = 8 << 30
	// longText is from how many bytes on a request's text is accounted.
	longText = 64 << 10
	// textCost is about how many bytes each byte of a statement's text needs
	// as tree, plan and rows, paramCost each byte of its parameters.
	textCost, paramCost = 16, 4
)

// totalMemory is query.total_memory_limit in effect.
func totalMemory(c config.Query) int64 {
	if n := c.TotalMemoryLimit.Bytes(); n > 0 {
		return n
	}
	return max(memoryUnder("/")/2, c.MemoryLimit.Bytes())
}

// memoryUnder is how much memory this process can have, by the files of a
// Linux system: the machine's or, when it is less, its control group's.
func memoryUnder(root string) int64 {
	all := int64(assumedMemory)
	if info, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		for line := range bytes.Lines(info) {
			if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "MemTotal:" {
				if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil && kib > 0 {
					all = kib << 10
				}
				break
			}
		}
	}
	for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue
		}
		// "max" is no number and no limit.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
			all = min(all, n)
		}
	}
	return all
}

// takeText accounts a request's text while its statements run. Short ones are
// not worth it.
func (e *Engine) takeText(req *Request) (give func(), err error) {
	params := 0
	for i := range req.Params {
		params += len(req.Params[i].Str())
	}
	if len(req.SQL)+params < longText {
		return func() {}, nil
	}
	cost := int64(len(req.SQL))*textCost + int64(params)*paramCost
	if err := e.memory.Take(cost); err != nil {
		return nil, err
	}
	return func() { e.memory.Give(cost) }, nil
}

// Reserve takes bytes of the memory that all statements share for what a
// request needs before it has statements, until release gives them back.
//
// Errors: RESOURCE_EXHAUSTED.
func (e *Engine) Reserve(bytes int64) (release func(), err error) {
	if err := e.memory.Take(bytes); err != nil {
		return nil, err
	}
	return func() { e.memory.Give(bytes) }, nil
}
