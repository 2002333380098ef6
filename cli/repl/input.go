package repl

import (
	"bufio"
	"context"
	"io"
	"os"
)

// input gives lines that are typed or piped while the line editor does not
// read: answers, and commands to a stream.
type input interface {
	line(ctx context.Context) (string, error)
}

// pipeInput reads lines ahead of their use, in a goroutine that lives as long
// as the pipe.
type pipeInput struct {
	lines chan string
	err   error // set before lines is closed
}

func newPipeInput(r io.Reader) *pipeInput {
	p := &pipeInput{lines: make(chan string)}
	go func() {
		defer close(p.lines)
		br := bufio.NewReaderSize(r, 64<<10)
		for {
			s, err := br.ReadString('\n')
			if s != "" {
				p.lines <- s
			}
			if err != nil {
				p.err = err
				return
			}
		}
	}()
	return p
}

func (p *pipeInput) line(ctx context.Context) (string, error) {
	select {
	case s, ok := <-p.lines:
		if !ok {
			return "", p.err
		}
		return s, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// ttyInput reads lines from a terminal in its line mode, and stops reading when
// the context ends, so that no key is taken from the line editor.
type ttyInput struct{ f *os.File }

func (t ttyInput) line(ctx context.Context) (string, error) {
	for {
		ready, err := readable(t.f)
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if err != nil {
			return "", err
		}
		if !ready {
			continue
		}
		buf := make([]byte, 4096)
		n, err := t.f.Read(buf)
		if n == 0 && err == nil {
			err = io.EOF
		}
		return string(buf[:n]), err
	}
}
