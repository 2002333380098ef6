package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// secretive are the packages that hold what a caller presents against what is
// secret.
var secretive = []string{"server/auth", "core/apikey"}

// secretName is what values are called that must not be compared byte by byte
// until the first difference: how long that takes tells how far one has come.
var secretName = regexp.MustCompile(`(?i)(secret|signature|hash|mac|password)$`)

// TestSecretsAreComparedInConstantTime looks for comparisons of secrets with
// anything but crypto/subtle and crypto/hmac.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	constant := 0
	for _, dir := range secretive {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch x := n.(type) {
				case *ast.BinaryExpr:
					if (x.Op == token.EQL || x.Op == token.NEQ) && (isSecret(x.X) && !isConstant(x.Y) || isSecret(x.Y) && !isConstant(x.X)) {
						t.Errorf("%s compares a secret byte by byte", fset.Position(x.Pos()))
					}
				case *ast.CallExpr:
					sel, ok := x.Fun.(*ast.SelectorExpr)
					if !ok {
						return true
					}
					switch name := sel.Sel.Name; {
					case name == "ConstantTimeCompare":
						constant++
					case name == "Equal" || name == "Compare" || name == "HasPrefix" || name == "EqualFold":
						for _, arg := range x.Args {
							if isSecret(arg) {
								t.Errorf("%s compares a secret byte by byte", fset.Position(x.Pos()))
							}
						}
					}
				}
				return true
			})
		}
	}
	if constant == 0 {
		t.Error("nothing is compared in constant time; do API keys have another way?")
	}
}

// isSecret tells whether an expression is called like a secret.
func isSecret(e ast.Expr) bool {
	switch x := e.(type) {
	case *ast.Ident:
		return secretName.MatchString(x.Name)
	case *ast.SelectorExpr:
		return secretName.MatchString(x.Sel.Name)
	case *ast.SliceExpr:
		return isSecret(x.X)
	case *ast.ParenExpr:
		return isSecret(x.X)
	case *ast.CallExpr: // a conversion, such as string(hash)
		return len(x.Args) == 1 && isName(x.Fun, "string") && isSecret(x.Args[0])
	}
	return false
}

// isConstant tells whether an expression is a literal or nil: whether a secret
// is there at all may be asked.
func isConstant(e ast.Expr) bool {
	_, literal := e.(*ast.BasicLit)
	return literal || isName(e, "nil")
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
