package harness

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"
)

// Token issues an HS256 token for the servers of this harness, valid for an
// hour.
func Token(t testing.TB, user, role string) string {
	t.Helper()
	return Sign(t, secret(), map[string]any{
		"user_id": user, "role": role, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
}

// Sign makes an HS256 token with any claims and any secret.
func Sign(t testing.TB, secret string, claims map[string]any) string {
	t.Helper()
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + enc.EncodeToString(mac.Sum(nil))
}
