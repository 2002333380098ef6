package ast

// Insert is INSERT INTO.
type Insert struct {
	Pos
	With  *With
	Table TableName
	// Alias is empty when none was given.
	Alias   string
	Columns []Ident
	// Source is nil for DEFAULT VALUES. VALUES is a Query whose Body is a
	// *Values.
	Source *Query
	// OnConflict is nil when it was not given.
	OnConflict *OnConflict
	Returning  []SelectItem
}

// OnConflict is ON CONFLICT [(Target)] DO NOTHING | DO UPDATE SET ….
type OnConflict struct {
	Pos
	// Target is empty when it was not given, which DO UPDATE does not allow.
	Target []Ident
	// Set is empty for DO NOTHING.
	Set []Assignment
	// Where is the condition of DO UPDATE; nil when it was not given.
	Where Expr
}

// Assignment is one item of a SET clause.
type Assignment struct {
	Pos
	// Columns holds one name, or several for (a, b) = ….
	Columns []Ident
	// Multi says that the columns were in parentheses: Value is then a
	// *RowExpr of as many items, or a *SubqueryExpr.
	Multi bool
	Value Expr
}

// Update is UPDATE.
type Update struct {
	Pos
	With  *With
	Table TableName
	// Alias is empty when none was given.
	Alias     string
	Set       []Assignment
	From      []TableExpr
	Where     Expr
	Returning []SelectItem
}

// Delete is DELETE FROM.
type Delete struct {
	Pos
	With  *With
	Table TableName
	// Alias is empty when none was given.
	Alias     string
	Using     []TableExpr
	Where     Expr
	Returning []SelectItem
}

// Truncate is TRUNCATE TABLE.
type Truncate struct {
	Pos
	Tables []TableName
}

func (*Insert) node()     {}
func (*OnConflict) node() {}
func (*Assignment) node() {}
func (*Update) node()     {}
func (*Delete) node()     {}
func (*Truncate) node()   {}

func (*Insert) statement()   {}
func (*Update) statement()   {}
func (*Delete) statement()   {}
func (*Truncate) statement() {}
