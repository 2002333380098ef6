package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/kalamdb/kalamdb/commons/config"
)

// Field is one key of a configuration.
type Field struct {
	// Key is the name in the file: section.field.
	Key string
	// Env is the name of the environment variable.
	Env string
	// Secret values are never shown.
	Secret bool

	value reflect.Value
}

// Fields lists every key of the configuration c, in the order of the
// reference documentation. Setting a field changes c.
func Fields(c *config.Config) []Field {
	var out []Field
	walk(reflect.ValueOf(c).Elem(), "", func(f Field) { out = append(out, f) })
	return out
}

func walk(v reflect.Value, prefix string, visit func(Field)) {
	t := v.Type()
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("toml")
		if prefix != "" {
			key = prefix + "." + key
		}
		if v.Field(i).Kind() == reflect.Struct {
			walk(v.Field(i), key, visit)
			continue
		}
		visit(Field{
			Key:    key,
			Env:    EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			Secret: t.Field(i).Tag.Get("secret") == "true",
			value:  v.Field(i),
		})
	}
}

// TOML writes the value as the configuration file would have it; a secret
// that is set is masked.
func (f Field) TOML() string {
	if f.value.Kind() == reflect.String { // text, or a typed name
		if f.Secret && f.value.Len() > 0 {
			return strconv.Quote("********")
		}
		return strconv.Quote(f.value.String())
	}
	switch v := f.value.Interface().(type) {
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case fmt.Stringer:
		return strconv.Quote(v.String())
	default:
		return fmt.Sprint(v)
	}
}

// Equal tells whether two configurations have the same value of the key.
func (f Field) Equal(o Field) bool {
	return reflect.DeepEqual(f.value.Interface(), o.value.Interface())
}

// setText sets the value from text, as the environment has it.
func (f Field) setText(s string) error {
	if u, ok := f.value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(s))
	}
	switch f.value.Kind() {
	case reflect.String:
		f.value.SetString(s)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(s)))
		if err != nil {
			return fmt.Errorf("%q is not true or false", s)
		}
		f.value.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		f.value.SetInt(n)
	case reflect.Slice:
		list := []string{}
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		f.value.Set(reflect.ValueOf(list))
	}
	return nil
}

// setTOML sets the value from one that the TOML decoder gave.
func (f Field) setTOML(v any) error {
	if u, ok := f.value.Addr().Interface().(encoding.TextUnmarshaler); ok {
		// A bare number would be nanoseconds to Go and seconds to everybody
		// else; bytes are clear.
		if n, isInt := v.(int64); isInt && f.value.Type() == reflect.TypeFor[config.Size]() {
			return u.UnmarshalText(strconv.AppendInt(nil, n, 10))
		}
		s, isString := v.(string)
		if !isString {
			return fmt.Errorf("is %s; it must be a string with a unit, such as %s", kindOf(v), f.TOML())
		}
		return u.UnmarshalText([]byte(s))
	}
	wrong := func(want string) error { return fmt.Errorf("is %s; it must be %s", kindOf(v), want) }
	switch f.value.Kind() {
	case reflect.String:
		s, ok := v.(string)
		if !ok {
			return wrong("a string")
		}
		f.value.SetString(s)
	case reflect.Bool:
		b, ok := v.(bool)
		if !ok {
			return wrong("true or false")
		}
		f.value.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, ok := v.(int64)
		if !ok {
			return wrong("a whole number")
		}
		f.value.SetInt(n)
	case reflect.Slice:
		items, ok := v.([]any)
		if !ok {
			return wrong("a list of strings")
		}
		list := make([]string, len(items))
		for i, item := range items {
			if list[i], ok = item.(string); !ok {
				return fmt.Errorf("holds %s; it must be a list of strings", kindOf(item))
			}
		}
		f.value.Set(reflect.ValueOf(list))
	}
	return nil
}

func kindOf(v any) string {
	switch v := v.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
