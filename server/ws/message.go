package ws

import (
	"strconv"

	"github.com/kalamdb/kalamdb/commons/ident"
	"github.com/kalamdb/kalamdb/commons/sqltype"
	"github.com/kalamdb/kalamdb/commons/wire"
	"github.com/kalamdb/kalamdb/live"
	"github.com/kalamdb/kalamdb/server/wireconv"
)

// A message of a live query has three parts: a head that names the
// subscription, a middle that is the same for every subscription with the same
// filter and projection and is encoded once for all of them, and a tail of
// flags:
//
//	{"type":"change","subscription_id":"s1",
//	"change_type":"insert","rows":[…],"seq":4712,"timestamp":"…"
//	,"catch_up":true}

// appendMessage appends a message of a live query.
func (s *sub) appendMessage(dst []byte, m live.Message) []byte {
	kind := wire.TypeChange
	switch m.Kind {
	case live.Initial:
		kind = wire.TypeInitialData
	case live.Schema:
		kind = wire.TypeSchema
	}
	dst = append(append(append(dst, `{"type":"`...), kind...), `",`...)
	dst = append(dst, s.member...)
	dst = append(dst, m.Encoded(s.variant, s.encode)...)
	if m.Last {
		dst = append(dst, `,"last":true`...)
	}
	if m.CatchUp {
		dst = append(dst, `,"catch_up":true`...)
	}
	if m.Resync {
		dst = append(dst, `,"resync":true`...)
	}
	return append(dst, '}')
}

// encode makes the middle of a message.
func (s *sub) encode(b *live.Batch) []byte {
	e := s.encoderOf(b.Columns)
	dst := make([]byte, 0, 128+64*len(b.Rows)*max(len(b.Columns), 1))
	switch b.Kind {
	case live.Schema:
		dst = e.AppendSchema(dst)
	case live.Initial:
		dst = appendRows(append(dst, `"rows":`...), e, b.Rows)
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(len(b.Rows)), 10)
	default:
		dst = append(append(append(dst, `"change_type":"`...), b.Kind.String()...), `","rows":`...)
		dst = appendRows(dst, e, b.Rows)
		if b.Old != nil {
			dst = appendRows(append(dst, `,"old_values":`...), e, b.Old)
		}
	}
	dst = strconv.AppendUint(append(dst, `,"seq":`...), uint64(b.Seq), 10)
	if !b.Time.IsZero() {
		dst = sqltype.AppendRFC3339(append(dst, `,"timestamp":"`...), b.Time.UnixMicro())
		dst = append(dst, '"')
	}
	return dst
}

// encoderOf gives the encoder of a batch's columns; as long as the schema does
// not change they are the same slice.
func (s *sub) encoderOf(columns []live.Column) *wireconv.Encoder {
	if s.encoder != nil && len(columns) > 0 && s.columns == &columns[0] {
		return s.encoder
	}
	s.encoder = wireconv.NewEncoder(toColumns(columns), s.format)
	if len(columns) > 0 {
		s.columns = &columns[0]
	}
	return s.encoder
}

func toColumns(columns []live.Column) []wireconv.Column {
	out := make([]wireconv.Column, len(columns))
	for i, c := range columns {
		out[i] = wireconv.Column{Name: c.Name, Type: c.Type}
	}
	return out
}

func appendRows(dst []byte, e *wireconv.Encoder, rows []sqltype.Row) []byte {
	dst = append(dst, '[')
	for i, row := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = e.AppendValues(dst, row)
	}
	return append(dst, ']')
}

// appendAck appends the acknowledgement of a subscription.
func appendAck(dst []byte, s *sub, ls *live.Subscription) []byte {
	dst = append(append(dst, `{"type":"subscription_ack",`...), s.member...)
	dst = wireconv.AppendString(append(dst, `"live_id":`...), string(ls.ID()))
	if s.lastRows != nil {
		dst = strconv.AppendInt(append(dst, `,"last_rows":`...), int64(*s.lastRows), 10)
	}
	dst = strconv.AppendUint(append(dst, `,"seq":`...), uint64(ls.Seq()), 10)
	e := wireconv.NewEncoder(toColumns(ls.Plan().Columns), s.format)
	return append(e.AppendSchema(append(dst, ',')), '}')
}

func appendClosed(dst []byte, s *sub, reason live.Reason) []byte {
	dst = append(append(dst, `{"type":"closed",`...), s.member...)
	return append(append(append(dst, `"reason":"`...), reason...), `"}`...)
}

func appendError(dst []byte, id ident.SubscriptionID, f wire.Error) []byte {
	dst = append(dst, `{"type":"error",`...)
	if id != "" {
		dst = append(wireconv.AppendString(append(dst, `"subscription_id":`...), string(id)), ',')
	}
	dst = wireconv.AppendString(append(dst, `"code":`...), f.Code)
	dst = wireconv.AppendString(append(dst, `,"message":`...), f.Message)
	if f.Hint != "" {
		dst = wireconv.AppendString(append(dst, `,"hint":`...), f.Hint)
	}
	return append(dst, '}')
}
