package dberr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/kalamdb/kalamdb/commons/dberr"
)

func TestEveryCodeHasAStatusAndAState(t *testing.T) {
	seen := map[dberr.Code]bool{}
	for _, in := range dberr.Codes() {
		if seen[in.Code] {
			t.Errorf("%s is listed twice", in.Code)
		}
		seen[in.Code] = true
		if in.HTTPStatus < 400 || in.HTTPStatus > 599 {
			t.Errorf("%s has status %d", in.Code, in.HTTPStatus)
		}
		if len(in.SQLState) != 5 {
			t.Errorf("%s has SQLSTATE %q", in.Code, in.SQLState)
		}
		if !strings.HasSuffix(in.Meaning, ".") {
			t.Errorf("%s: meaning %q is no sentence", in.Code, in.Meaning)
		}
		if strings.HasSuffix(string(in.Code), "_NOT_FOUND") && in.HTTPStatus != http.StatusNotFound {
			t.Errorf("%s has status %d, want 404", in.Code, in.HTTPStatus)
		}
	}
	if len(seen) != 29 {
		t.Errorf("%d codes, the protocol has 29", len(seen))
	}
}

func TestUnknownCodeIsInternal(t *testing.T) {
	if got := dberr.Code("NO_SUCH").Info().HTTPStatus; got != http.StatusInternalServerError {
		t.Errorf("status %d", got)
	}
}

func TestErrorsAreFoundThroughWrapping(t *testing.T) {
	base := dberr.New(dberr.TableNotFound, "table app.x does not exist")
	wrapped := fmt.Errorf("bind: %w", base)
	got, ok := dberr.As(wrapped)
	if !ok || got != base {
		t.Fatalf("As gave %v, %v", got, ok)
	}
	if !errors.Is(wrapped, dberr.New(dberr.TableNotFound, "")) {
		t.Error("errors.Is does not compare codes")
	}
	if errors.Is(wrapped, dberr.New(dberr.ColumnNotFound, "")) {
		t.Error("errors.Is mixes codes up")
	}
	if c := dberr.CodeOf(io.EOF); c != dberr.Internal {
		t.Errorf("an error without a code is %s", c)
	}
	if c := dberr.CodeOf(nil); c != "" {
		t.Errorf("no error is %s", c)
	}
}

func TestContextErrorsHaveCodes(t *testing.T) {
	for err, want := range map[error]dberr.Code{
		context.Canceled:         dberr.Cancelled,
		context.DeadlineExceeded: dberr.Timeout,
	} {
		if got := dberr.CodeOf(fmt.Errorf("scan: %w", err)); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}

func TestRefinementsReturnCopies(t *testing.T) {
	base := dberr.New(dberr.InvalidSQL, "syntax error")
	refined := base.WithHint("Did you mean %s?", "SELECT").WithState("42000").At(dberr.Pos{Offset: 3, Line: 1, Column: 4})
	if base.Hint != "" || base.Pos.Known() || base.State() != "42601" {
		t.Errorf("the original changed: %+v", base)
	}
	if refined.Hint != "Did you mean SELECT?" || refined.State() != "42000" {
		t.Errorf("refined: %+v", refined)
	}
	if again := refined.At(dberr.Pos{Line: 9, Column: 9}); again.Pos.Line != 1 {
		t.Error("At replaced a known place")
	}
	if !strings.Contains(refined.Error(), "line 1, column 4") {
		t.Errorf("the text lacks the place: %s", refined)
	}
}

func TestCausesAreKept(t *testing.T) {
	err := dberr.Newf(dberr.StorageUnavailable, "write batch: %w", os.ErrPermission)
	if !errors.Is(err, os.ErrPermission) {
		t.Error("Newf lost the cause")
	}
	if err := dberr.New(dberr.Internal, "x").Wrap(io.EOF); !errors.Is(err, io.EOF) {
		t.Error("Wrap lost the cause")
	}
}
