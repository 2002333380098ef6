package catalog

import "github.com/kalamdb/kalamdb/store/keyenc"

// Partition holds the catalog's records.
var Partition = keyenc.CatalogPartition("definitions")
