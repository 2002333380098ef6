package parser

// Category says where a keyword may be used as a name, as PostgreSQL sorts
// its keywords (manual, appendix C).
type Category uint8

// The categories of keywords.
const (
	// Unreserved words may be any name.
	Unreserved Category = iota
	// ColumnName words may be a column or table name, no function name.
	ColumnName
	// FuncOrType words may be a function or type name only.
	FuncOrType
	// Reserved words may be a name only in quotes, or as an alias after AS.
	Reserved
)

// KeywordInfo is one keyword of the grammar.
type KeywordInfo struct {
	// Word is in upper case.
	Word     string
	Category Category
}

// Keywords lists every keyword of the grammar in alphabetical order, for
// completion, highlighting and quoting.
func Keywords() []KeywordInfo {
	list := make([]KeywordInfo, 0, len(keywords)-1)
	for _, k := range keywords[1:] {
		list = append(list, KeywordInfo{Word: k.upper, Category: k.cat})
	}
	return list
}

// Keyword identifies a keyword; zero is no keyword.
type Keyword uint16

// Category says where the keyword may be used as a name.
func (k Keyword) Category() Category { return keywords[k].cat }

// String is the keyword in upper case; empty for no keyword.
func (k Keyword) String() string { return keywords[k].upper }

type keyword struct {
	upper, lower string
	cat          Category
	// needsAS says that the word can be a select item's alias only after AS.
	needsAS bool
}

const (
	kwNone Keyword = iota
	kwAbort
	kwAccess
	kwAdd
	kwAll
	kwAlter
	kwAlways
	kwAnalyze
	kwAnd
	kwAny
	kwApi
	kwArray
	kwAs
	kwAsc
	kwAsymmetric
	kwAt
	kwAutoIncrement
	kwBackup
	kwBegin
	kwBetween
	kwBigint
	kwBit
	kwBoolean
	kwBoth
	kwBy
	kwCache
	kwCall
	kwCascade
	kwCase
	kwCast
	kwChar
	kwCharacter
	kwCheck
	kwClear
	kwClose
	kwCoalesce
	kwCollate
	kwColumn
	kwColumns
	kwComment
	kwCommit
	kwCompact
	kwConcurrently
	kwConflict
	kwConstraint
	kwContinue
	kwCopy
	kwCreate
	kwCredentials
	kwCross
	kwCube
	kwCurrent
	kwCurrentCatalog
	kwCurrentDate
	kwCurrentRole
	kwCurrentSchema
	kwCurrentTime
	kwCurrentTimestamp
	kwCurrentUser
	kwDatabase
	kwDate
	kwDay
	kwDeallocate
	kwDec
	kwDecimal
	kwDeclare
	kwDefault
	kwDeferrable
	kwDelete
	kwDesc
	kwDescribe
	kwDescription
	kwDiscard
	kwDistinct
	kwDo
	kwDouble
	kwDrop
	kwElse
	kwEnd
	kwEscape
	kwExcept
	kwExclude
	kwExecute
	kwExists
	kwExplain
	kwExtract
	kwFalse
	kwFetch
	kwFilter
	kwFirst
	kwFloat
	kwFlush
	kwFollowing
	kwFor
	kwForeign
	kwFormat
	kwFrom
	kwFull
	kwFunction
	kwGenerated
	kwGrant
	kwGreatest
	kwGroup
	kwGrouping
	kwGroups
	kwHaving
	kwHour
	kwIdentity
	kwIf
	kwIgnore
	kwIlike
	kwIn
	kwIncrement
	kwIndex
	kwInitially
	kwInner
	kwInsert
	kwInt
	kwInteger
	kwIntersect
	kwInterval
	kwInto
	kwIs
	kwIsnull
	kwJob
	kwJoin
	kwKey
	kwKill
	kwLast
	kwLateral
	kwLeading
	kwLeast
	kwLeft
	kwLike
	kwLimit
	kwListen
	kwLive
	kwLocaltime
	kwLocaltimestamp
	kwLock
	kwMaterialized
	kwMaxBuffer
	kwMerge
	kwMinute
	kwMonth
	kwName
	kwNamespace
	kwNamespaces
	kwNational
	kwNatural
	kwNchar
	kwNext
	kwNo
	kwNot
	kwNothing
	kwNotify
	kwNotnull
	kwNull
	kwNullif
	kwNulls
	kwNumeric
	kwOf
	kwOffset
	kwOn
	kwOnly
	kwOptions
	kwOr
	kwOrder
	kwOrdinality
	kwOthers
	kwOuter
	kwOver
	kwOverlaps
	kwOverlay
	kwOverriding
	kwPartition
	kwPath
	kwPlacing
	kwPosition
	kwPreceding
	kwPrecision
	kwPrepare
	kwPrimary
	kwQuery
	kwRange
	kwReal
	kwRecursive
	kwReferences
	kwReindex
	kwRelease
	kwRename
	kwReplace
	kwReset
	kwRespect
	kwRestart
	kwRestore
	kwRestrict
	kwReturning
	kwRevoke
	kwRight
	kwRollback
	kwRollup
	kwRow
	kwRows
	kwRowThreshold
	kwSavepoint
	kwSchema
	kwSecond
	kwSeconds
	kwSelect
	kwSequence
	kwSessionUser
	kwSet
	kwSets
	kwShare
	kwShared
	kwSharedTablesTemplate
	kwShow
	kwSimilar
	kwSmallint
	kwSome
	kwStart
	kwStats
	kwStorage
	kwStorages
	kwStream
	kwSubscribe
	kwSubstring
	kwSymmetric
	kwTable
	kwTables
	kwTablesample
	kwTemp
	kwTemporary
	kwText
	kwThen
	kwTies
	kwTime
	kwTimestamp
	kwTo
	kwTrailing
	kwTransaction
	kwTrigger
	kwTrim
	kwTrue
	kwTruncate
	kwTryCast
	kwTtl
	kwType
	kwUnbounded
	kwUnion
	kwUnique
	kwUnknown
	kwUnlogged
	kwUpdate
	kwUse
	kwUser
	kwUserTablesTemplate
	kwUsing
	kwVacuum
	kwValues
	kwVarchar
	kwVariadic
	kwVarying
	kwVerbose
	kwView
	kwWhen
	kwWhere
	kwWindow
	kwWith
	kwWithin
	kwWithout
	kwWork
	kwYear
	kwZone
)

var keywords = [...]keyword{
	kwNone:                 {},
	kwAbort:                {"ABORT", "abort", Unreserved, false},
	kwAccess:               {"ACCESS", "access", Unreserved, false},
	kwAdd:                  {"ADD", "add", Unreserved, false},
	kwAll:                  {"ALL", "all", Reserved, false},
	kwAlter:                {"ALTER", "alter", Unreserved, false},
	kwAlways:               {"ALWAYS", "always", Unreserved, false},
	kwAnalyze:              {"ANALYZE", "analyze", Unreserved, false},
	kwAnd:                  {"AND", "and", Reserved, false},
	kwAny:                  {"ANY", "any", Reserved, false},
	kwApi:                  {"API", "api", Unreserved, false},
	kwArray:                {"ARRAY", "array", Reserved, true},
	kwAs:                   {"AS", "as", Reserved, true},
	kwAsc:                  {"ASC", "asc", Reserved, false},
	kwAsymmetric:           {"ASYMMETRIC", "asymmetric", Reserved, false},
	kwAt:                   {"AT", "at", Unreserved, false},
	kwAutoIncrement:        {"AUTO_INCREMENT", "auto_increment", Unreserved, false},
	kwBackup:               {"BACKUP", "backup", Unreserved, false},
	kwBegin:                {"BEGIN", "begin", Unreserved, false},
	kwBetween:              {"BETWEEN", "between", ColumnName, false},
	kwBigint:               {"BIGINT", "bigint", ColumnName, false},
	kwBit:                  {"BIT", "bit", ColumnName, false},
	kwBoolean:              {"BOOLEAN", "boolean", ColumnName, false},
	kwBoth:                 {"BOTH", "both", Reserved, false},
	kwBy:                   {"BY", "by", Unreserved, false},
	kwCache:                {"CACHE", "cache", Unreserved, false},
	kwCall:                 {"CALL", "call", Unreserved, false},
	kwCascade:              {"CASCADE", "cascade", Unreserved, false},
	kwCase:                 {"CASE", "case", Reserved, false},
	kwCast:                 {"CAST", "cast", Reserved, false},
	kwChar:                 {"CHAR", "char", ColumnName, true},
	kwCharacter:            {"CHARACTER", "character", ColumnName, true},
	kwCheck:                {"CHECK", "check", Reserved, false},
	kwClear:                {"CLEAR", "clear", Unreserved, false},
	kwClose:                {"CLOSE", "close", Unreserved, false},
	kwCoalesce:             {"COALESCE", "coalesce", ColumnName, false},
	kwCollate:              {"COLLATE", "collate", Reserved, false},
	kwColumn:               {"COLUMN", "column", Reserved, false},
	kwColumns:              {"COLUMNS", "columns", Unreserved, false},
	kwComment:              {"COMMENT", "comment", Unreserved, false},
	kwCommit:               {"COMMIT", "commit", Unreserved, false},
	kwCompact:              {"COMPACT", "compact", Unreserved, false},
	kwConcurrently:         {"CONCURRENTLY", "concurrently", Unreserved, false},
	kwConflict:             {"CONFLICT", "conflict", Unreserved, false},
	kwConstraint:           {"CONSTRAINT", "constraint", Reserved, false},
	kwContinue:             {"CONTINUE", "continue", Unreserved, false},
	kwCopy:                 {"COPY", "copy", Unreserved, false},
	kwCreate:               {"CREATE", "create", Reserved, true},
	kwCredentials:          {"CREDENTIALS", "credentials", Unreserved, false},
	kwCross:                {"CROSS", "cross", FuncOrType, false},
	kwCube:                 {"CUBE", "cube", Unreserved, false},
	kwCurrent:              {"CURRENT", "current", Unreserved, false},
	kwCurrentCatalog:       {"CURRENT_CATALOG", "current_catalog", Reserved, false},
	kwCurrentDate:          {"CURRENT_DATE", "current_date", Reserved, false},
	kwCurrentRole:          {"CURRENT_ROLE", "current_role", Reserved, false},
	kwCurrentSchema:        {"CURRENT_SCHEMA", "current_schema", FuncOrType, false},
	kwCurrentTime:          {"CURRENT_TIME", "current_time", Reserved, false},
	kwCurrentTimestamp:     {"CURRENT_TIMESTAMP", "current_timestamp", Reserved, false},
	kwCurrentUser:          {"CURRENT_USER", "current_user", Reserved, false},
	kwDatabase:             {"DATABASE", "database", Unreserved, false},
	kwDate:                 {"DATE", "date", Unreserved, false},
	kwDay:                  {"DAY", "day", Unreserved, true},
	kwDeallocate:           {"DEALLOCATE", "deallocate", Unreserved, false},
	kwDec:                  {"DEC", "dec", ColumnName, false},
	kwDecimal:              {"DECIMAL", "decimal", ColumnName, false},
	kwDeclare:              {"DECLARE", "declare", Unreserved, false},
	kwDefault:              {"DEFAULT", "default", Reserved, false},
	kwDeferrable:           {"DEFERRABLE", "deferrable", Reserved, false},
	kwDelete:               {"DELETE", "delete", Unreserved, false},
	kwDesc:                 {"DESC", "desc", Reserved, false},
	kwDescribe:             {"DESCRIBE", "describe", Unreserved, false},
	kwDescription:          {"DESCRIPTION", "description", Unreserved, false},
	kwDiscard:              {"DISCARD", "discard", Unreserved, false},
	kwDistinct:             {"DISTINCT", "distinct", Reserved, false},
	kwDo:                   {"DO", "do", Reserved, false},
	kwDouble:               {"DOUBLE", "double", Unreserved, false},
	kwDrop:                 {"DROP", "drop", Unreserved, false},
	kwElse:                 {"ELSE", "else", Reserved, false},
	kwEnd:                  {"END", "end", Reserved, false},
	kwEscape:               {"ESCAPE", "escape", Unreserved, false},
	kwExcept:               {"EXCEPT", "except", Reserved, true},
	kwExclude:              {"EXCLUDE", "exclude", Unreserved, false},
	kwExecute:              {"EXECUTE", "execute", Unreserved, false},
	kwExists:               {"EXISTS", "exists", ColumnName, false},
	kwExplain:              {"EXPLAIN", "explain", Unreserved, false},
	kwExtract:              {"EXTRACT", "extract", ColumnName, false},
	kwFalse:                {"FALSE", "false", Reserved, false},
	kwFetch:                {"FETCH", "fetch", Reserved, true},
	kwFilter:               {"FILTER", "filter", Unreserved, true},
	kwFirst:                {"FIRST", "first", Unreserved, false},
	kwFloat:                {"FLOAT", "float", ColumnName, false},
	kwFlush:                {"FLUSH", "flush", Unreserved, false},
	kwFollowing:            {"FOLLOWING", "following", Unreserved, false},
	kwFor:                  {"FOR", "for", Reserved, true},
	kwForeign:              {"FOREIGN", "foreign", Reserved, false},
	kwFormat:               {"FORMAT", "format", Unreserved, false},
	kwFrom:                 {"FROM", "from", Reserved, true},
	kwFull:                 {"FULL", "full", FuncOrType, false},
	kwFunction:             {"FUNCTION", "function", Unreserved, false},
	kwGenerated:            {"GENERATED", "generated", Unreserved, false},
	kwGrant:                {"GRANT", "grant", Reserved, true},
	kwGreatest:             {"GREATEST", "greatest", ColumnName, false},
	kwGroup:                {"GROUP", "group", Reserved, true},
	kwGrouping:             {"GROUPING", "grouping", ColumnName, false},
	kwGroups:               {"GROUPS", "groups", Unreserved, false},
	kwHaving:               {"HAVING", "having", Reserved, true},
	kwHour:                 {"HOUR", "hour", Unreserved, true},
	kwIdentity:             {"IDENTITY", "identity", Unreserved, false},
	kwIf:                   {"IF", "if", Unreserved, false},
	kwIgnore:               {"IGNORE", "ignore", Unreserved, false},
	kwIlike:                {"ILIKE", "ilike", FuncOrType, false},
	kwIn:                   {"IN", "in", Reserved, false},
	kwIncrement:            {"INCREMENT", "increment", Unreserved, false},
	kwIndex:                {"INDEX", "index", Unreserved, false},
	kwInitially:            {"INITIALLY", "initially", Reserved, false},
	kwInner:                {"INNER", "inner", FuncOrType, false},
	kwInsert:               {"INSERT", "insert", Unreserved, false},
	kwInt:                  {"INT", "int", ColumnName, false},
	kwInteger:              {"INTEGER", "integer", ColumnName, false},
	kwIntersect:            {"INTERSECT", "intersect", Reserved, true},
	kwInterval:             {"INTERVAL", "interval", ColumnName, false},
	kwInto:                 {"INTO", "into", Reserved, true},
	kwIs:                   {"IS", "is", FuncOrType, false},
	kwIsnull:               {"ISNULL", "isnull", FuncOrType, true},
	kwJob:                  {"JOB", "job", Unreserved, false},
	kwJoin:                 {"JOIN", "join", FuncOrType, false},
	kwKey:                  {"KEY", "key", Unreserved, false},
	kwKill:                 {"KILL", "kill", Unreserved, false},
	kwLast:                 {"LAST", "last", Unreserved, false},
	kwLateral:              {"LATERAL", "lateral", Reserved, false},
	kwLeading:              {"LEADING", "leading", Reserved, false},
	kwLeast:                {"LEAST", "least", ColumnName, false},
	kwLeft:                 {"LEFT", "left", FuncOrType, false},
	kwLike:                 {"LIKE", "like", FuncOrType, false},
	kwLimit:                {"LIMIT", "limit", Reserved, true},
	kwListen:               {"LISTEN", "listen", Unreserved, false},
	kwLive:                 {"LIVE", "live", Unreserved, false},
	kwLocaltime:            {"LOCALTIME", "localtime", Reserved, false},
	kwLocaltimestamp:       {"LOCALTIMESTAMP", "localtimestamp", Reserved, false},
	kwLock:                 {"LOCK", "lock", Unreserved, false},
	kwMaterialized:         {"MATERIALIZED", "materialized", Unreserved, false},
	kwMaxBuffer:            {"MAX_BUFFER", "max_buffer", Unreserved, false},
	kwMerge:                {"MERGE", "merge", Unreserved, false},
	kwMinute:               {"MINUTE", "minute", Unreserved, true},
	kwMonth:                {"MONTH", "month", Unreserved, true},
	kwName:                 {"NAME", "name", Unreserved, false},
	kwNamespace:            {"NAMESPACE", "namespace", Unreserved, false},
	kwNamespaces:           {"NAMESPACES", "namespaces", Unreserved, false},
	kwNational:             {"NATIONAL", "national", ColumnName, false},
	kwNatural:              {"NATURAL", "natural", FuncOrType, false},
	kwNchar:                {"NCHAR", "nchar", ColumnName, false},
	kwNext:                 {"NEXT", "next", Unreserved, false},
	kwNo:                   {"NO", "no", Unreserved, false},
	kwNot:                  {"NOT", "not", Reserved, false},
	kwNothing:              {"NOTHING", "nothing", Unreserved, false},
	kwNotify:               {"NOTIFY", "notify", Unreserved, false},
	kwNotnull:              {"NOTNULL", "notnull", FuncOrType, true},
	kwNull:                 {"NULL", "null", Reserved, false},
	kwNullif:               {"NULLIF", "nullif", ColumnName, false},
	kwNulls:                {"NULLS", "nulls", Unreserved, false},
	kwNumeric:              {"NUMERIC", "numeric", ColumnName, false},
	kwOf:                   {"OF", "of", Unreserved, false},
	kwOffset:               {"OFFSET", "offset", Reserved, true},
	kwOn:                   {"ON", "on", Reserved, true},
	kwOnly:                 {"ONLY", "only", Reserved, false},
	kwOptions:              {"OPTIONS", "options", Unreserved, false},
	kwOr:                   {"OR", "or", Reserved, false},
	kwOrder:                {"ORDER", "order", Reserved, true},
	kwOrdinality:           {"ORDINALITY", "ordinality", Unreserved, false},
	kwOthers:               {"OTHERS", "others", Unreserved, false},
	kwOuter:                {"OUTER", "outer", FuncOrType, false},
	kwOver:                 {"OVER", "over", Unreserved, true},
	kwOverlaps:             {"OVERLAPS", "overlaps", FuncOrType, true},
	kwOverlay:              {"OVERLAY", "overlay", ColumnName, false},
	kwOverriding:           {"OVERRIDING", "overriding", Unreserved, false},
	kwPartition:            {"PARTITION", "partition", Unreserved, false},
	kwPath:                 {"PATH", "path", Unreserved, false},
	kwPlacing:              {"PLACING", "placing", Reserved, false},
	kwPosition:             {"POSITION", "position", ColumnName, false},
	kwPreceding:            {"PRECEDING", "preceding", Unreserved, false},
	kwPrecision:            {"PRECISION", "precision", ColumnName, true},
	kwPrepare:              {"PREPARE", "prepare", Unreserved, false},
	kwPrimary:              {"PRIMARY", "primary", Reserved, false},
	kwQuery:                {"QUERY", "query", Unreserved, false},
	kwRange:                {"RANGE", "range", Unreserved, false},
	kwReal:                 {"REAL", "real", ColumnName, false},
	kwRecursive:            {"RECURSIVE", "recursive", Unreserved, false},
	kwReferences:           {"REFERENCES", "references", Reserved, false},
	kwReindex:              {"REINDEX", "reindex", Unreserved, false},
	kwRelease:              {"RELEASE", "release", Unreserved, false},
	kwRename:               {"RENAME", "rename", Unreserved, false},
	kwReplace:              {"REPLACE", "replace", Unreserved, false},
	kwReset:                {"RESET", "reset", Unreserved, false},
	kwRespect:              {"RESPECT", "respect", Unreserved, false},
	kwRestart:              {"RESTART", "restart", Unreserved, false},
	kwRestore:              {"RESTORE", "restore", Unreserved, false},
	kwRestrict:             {"RESTRICT", "restrict", Unreserved, false},
	kwReturning:            {"RETURNING", "returning", Reserved, true},
	kwRevoke:               {"REVOKE", "revoke", Unreserved, false},
	kwRight:                {"RIGHT", "right", FuncOrType, false},
	kwRollback:             {"ROLLBACK", "rollback", Unreserved, false},
	kwRollup:               {"ROLLUP", "rollup", Unreserved, false},
	kwRow:                  {"ROW", "row", ColumnName, false},
	kwRows:                 {"ROWS", "rows", Unreserved, false},
	kwRowThreshold:         {"ROW_THRESHOLD", "row_threshold", Unreserved, false},
	kwSavepoint:            {"SAVEPOINT", "savepoint", Unreserved, false},
	kwSchema:               {"SCHEMA", "schema", Unreserved, false},
	kwSecond:               {"SECOND", "second", Unreserved, true},
	kwSeconds:              {"SECONDS", "seconds", Unreserved, false},
	kwSelect:               {"SELECT", "select", Reserved, false},
	kwSequence:             {"SEQUENCE", "sequence", Unreserved, false},
	kwSessionUser:          {"SESSION_USER", "session_user", Reserved, false},
	kwSet:                  {"SET", "set", Unreserved, false},
	kwSets:                 {"SETS", "sets", Unreserved, false},
	kwShare:                {"SHARE", "share", Unreserved, false},
	kwShared:               {"SHARED", "shared", Unreserved, false},
	kwSharedTablesTemplate: {"SHARED_TABLES_TEMPLATE", "shared_tables_template", Unreserved, false},
	kwShow:                 {"SHOW", "show", Unreserved, false},
	kwSimilar:              {"SIMILAR", "similar", FuncOrType, false},
	kwSmallint:             {"SMALLINT", "smallint", ColumnName, false},
	kwSome:                 {"SOME", "some", Reserved, false},
	kwStart:                {"START", "start", Unreserved, false},
	kwStats:                {"STATS", "stats", Unreserved, false},
	kwStorage:              {"STORAGE", "storage", Unreserved, false},
	kwStorages:             {"STORAGES", "storages", Unreserved, false},
	kwStream:               {"STREAM", "stream", Unreserved, false},
	kwSubscribe:            {"SUBSCRIBE", "subscribe", Unreserved, false},
	kwSubstring:            {"SUBSTRING", "substring", ColumnName, false},
	kwSymmetric:            {"SYMMETRIC", "symmetric", Reserved, false},
	kwTable:                {"TABLE", "table", Reserved, false},
	kwTables:               {"TABLES", "tables", Unreserved, false},
	kwTablesample:          {"TABLESAMPLE", "tablesample", FuncOrType, false},
	kwTemp:                 {"TEMP", "temp", Unreserved, false},
	kwTemporary:            {"TEMPORARY", "temporary", Unreserved, false},
	kwText:                 {"TEXT", "text", Unreserved, false},
	kwThen:                 {"THEN", "then", Reserved, false},
	kwTies:                 {"TIES", "ties", Unreserved, false},
	kwTime:                 {"TIME", "time", ColumnName, false},
	kwTimestamp:            {"TIMESTAMP", "timestamp", ColumnName, false},
	kwTo:                   {"TO", "to", Reserved, true},
	kwTrailing:             {"TRAILING", "trailing", Reserved, false},
	kwTransaction:          {"TRANSACTION", "transaction", Unreserved, false},
	kwTrigger:              {"TRIGGER", "trigger", Unreserved, false},
	kwTrim:                 {"TRIM", "trim", ColumnName, false},
	kwTrue:                 {"TRUE", "true", Reserved, false},
	kwTruncate:             {"TRUNCATE", "truncate", Unreserved, false},
	kwTryCast:              {"TRY_CAST", "try_cast", ColumnName, false},
	kwTtl:                  {"TTL", "ttl", Unreserved, false},
	kwType:                 {"TYPE", "type", Unreserved, false},
	kwUnbounded:            {"UNBOUNDED", "unbounded", Unreserved, false},
	kwUnion:                {"UNION", "union", Reserved, true},
	kwUnique:               {"UNIQUE", "unique", Reserved, false},
	kwUnknown:              {"UNKNOWN", "unknown", Unreserved, false},
	kwUnlogged:             {"UNLOGGED", "unlogged", Unreserved, false},
	kwUpdate:               {"UPDATE", "update", Unreserved, false},
	kwUse:                  {"USE", "use", Unreserved, false},
	kwUser:                 {"USER", "user", Reserved, false},
	kwUserTablesTemplate:   {"USER_TABLES_TEMPLATE", "user_tables_template", Unreserved, false},
	kwUsing:                {"USING", "using", Reserved, false},
	kwVacuum:               {"VACUUM", "vacuum", Unreserved, false},
	kwValues:               {"VALUES", "values", ColumnName, false},
	kwVarchar:              {"VARCHAR", "varchar", ColumnName, false},
	kwVariadic:             {"VARIADIC", "variadic", Reserved, false},
	kwVarying:              {"VARYING", "varying", Unreserved, true},
	kwVerbose:              {"VERBOSE", "verbose", Unreserved, false},
	kwView:                 {"VIEW", "view", Unreserved, false},
	kwWhen:                 {"WHEN", "when", Reserved, false},
	kwWhere:                {"WHERE", "where", Reserved, true},
	kwWindow:               {"WINDOW", "window", Reserved, true},
	kwWith:                 {"WITH", "with", Reserved, true},
	kwWithin:               {"WITHIN", "within", Unreserved, true},
	kwWithout:              {"WITHOUT", "without", Unreserved, true},
	kwWork:                 {"WORK", "work", Unreserved, false},
	kwYear:                 {"YEAR", "year", Unreserved, true},
	kwZone:                 {"ZONE", "zone", Unreserved, false},
}

// The keyword table is open-addressed over a hash that the lexer computes
// while it scans a word; the words do not collide much at this size.
const (
	keywordSlots = 2048
	maxKeyword   = 24
)

var keywordTable = func() (t [keywordSlots]Keyword) {
	for k := 1; k < len(keywords); k++ {
		h := uint32(0)
		for i := range len(keywords[k].lower) {
			h = h*wordHash + uint32(keywords[k].lower[i])
		}
		slot := slotOf(h)
		for t[slot] != kwNone {
			slot = (slot + 1) % keywordSlots
		}
		t[slot] = Keyword(k)
	}
	return t
}()

// wordHash is the multiplier of the hash over a word's lower-case bytes.
const wordHash = 0x01000193

func slotOf(h uint32) uint32 { return (h ^ h>>13 ^ h>>21) % keywordSlots }

// lookupKeyword finds the keyword that a word is, given its hash.
func lookupKeyword(word string, h uint32) Keyword {
	if len(word) > maxKeyword {
		return kwNone
	}
	for slot := slotOf(h); ; slot = (slot + 1) % keywordSlots {
		k := keywordTable[slot]
		if k == kwNone {
			return kwNone
		}
		if equalFoldASCII(word, keywords[k].lower) {
			return k
		}
	}
}

// equalFoldASCII compares a word with one in lower case.
func equalFoldASCII(word, lower string) bool {
	if len(word) != len(lower) {
		return false
	}
	for i := range len(word) {
		c := word[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
