package parser

import (
	"strings"
	"testing"
)

const benchPoint = "SELECT * FROM t WHERE id = $1"

const benchQuery = `WITH recent AS (
  SELECT m.id, m.thread_id, m.user_id, m.content, m.created_at,
         row_number() OVER (PARTITION BY m.thread_id ORDER BY m.created_at DESC) AS rn
  FROM app.messages AS m
  WHERE m.created_at >= now() - INTERVAL '7 days' AND m.deleted IS NOT TRUE
), totals AS (
  SELECT thread_id, count(*) AS n, sum(length(content)) AS bytes, max(created_at) AS last_at
  FROM recent
  GROUP BY thread_id
  HAVING count(*) > 5
)
SELECT t.title, u.username, r.content, totals.n, totals.bytes::double precision / totals.n AS avg_bytes,
       CASE WHEN totals.n > 100 THEN 'busy' WHEN totals.n > 10 THEN 'normal' ELSE 'quiet' END AS activity
FROM recent AS r
JOIN totals ON totals.thread_id = r.thread_id
JOIN app.threads AS t ON t.id = r.thread_id
LEFT JOIN system.users AS u ON u.user_id = r.user_id
WHERE r.rn <= 3 AND t.kind IN ('public', 'team') AND (u.username LIKE 'a%' OR u.username IS NULL)
ORDER BY totals.last_at DESC NULLS LAST, r.rn
LIMIT 50 OFFSET 10`

var benchInsert = "INSERT INTO app.messages (id, name, score, ok) VALUES " +
	strings.TrimSuffix(strings.Repeat("(123456, 'some text here', 12.5, true), ", 100), ", ")

func benchmarkParse(b *testing.B, sql string) {
	b.Helper()
	var p Parser
	b.ReportAllocs()
	b.SetBytes(int64(len(sql)))
	for b.Loop() {
		if _, err := p.Parse(sql); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParsePoint(b *testing.B)  { benchmarkParse(b, benchPoint) }
func BenchmarkParseQuery(b *testing.B)  { benchmarkParse(b, benchQuery) }
func BenchmarkParseInsert(b *testing.B) { benchmarkParse(b, benchInsert) }

func BenchmarkLexQuery(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(benchQuery)))
	for b.Loop() {
		l := NewLexer(benchQuery)
		for l.Next().Kind != EOF {
		}
	}
}
