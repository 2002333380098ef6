package builtin

// argNames are the names of the arguments of functions that can be called by
// them.
var argNames = map[string][]string{
	"make_interval":  {"years", "months", "weeks", "days", "hours", "mins", "secs"},
	"make_date":      {"year", "month", "day"},
	"make_time":      {"hour", "min", "sec"},
	"make_timestamp": {"year", "month", "mday", "hour", "min", "sec"},
}

// ArgNames are the names by which a function's arguments can be given, in
// their order; nil where they cannot.
func ArgNames(function string) []string { return argNames[function] }

// ArgsOptional tells whether an argument that a call by names leaves out is 0.
func ArgsOptional(function string) bool { return function == "make_interval" }
