// SPDX-License-Identifier: Apache-2.0

package packaging_test

// usual is what Prometheus has when all is well, by series.
func usual() map[string]string {
	const ours = `namespace="tap-local-source-system",container=`
	return map[string]string{
		`up{` + ours + `"local-source-proxy"}`: "1x60",
		`up{` + ours + `"image-proxy"}`:        "1x60",
		`lsp_requests_total{namespace="a",door="source",operation="upload-chunk",status="202"}`: "0+100x60",
		`lsp_requests_total{namespace="a",door="source",operation="upload-chunk",status="499"}`: "0+50x60",
		`lsp_requests_total{namespace="a",door="api",operation="upload-chunk",status="202"}`:    "0+100x60",
		// Developers who take a tag of another namespace.
		`lsp_requests_total{namespace="a",door="api",operation="manifest-put",status="403"}`:                                       "0+1x60",
		`lsp_requests_total{namespace="a",door="api",operation="upload-start",status="403"}`:                                       "0x60",
		`lsp_requests_total{namespace="a",door="source",operation="blob-get",status="403"}`:                                        "0+10x60",
		`lsp_requests_total{namespace="a",door="images",operation="manifest-get",status="200"}`:                                    "0+100x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="ping",status="401"}`:         "0+20x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="blob-get",status="200"}`:     "0+100x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="blob-get",status="503"}`:     "0+1x60",
		`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="upload-chunk",status="499"}`: "0+50x60",
		`lsp_token_fetches_total{namespace="a",container="image-proxy",result="ok"}`:                                               "0+5x60",
		`lsp_token_fetches_total{namespace="a",container="image-proxy",result="refused"}`:                                          "0x60",
		`lsp_token_fetches_total{namespace="a",container="image-proxy",result="error"}`:                                            "0x60",
		`lsp_settings_in_force{namespace="a",container="image-proxy",settings="certificate"}`:                                      "1x60",
		`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="values"}`:                                    "1x60",
		`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="api_certificate"}`:                           "1x60",
		`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="front_proxy"}`:                               "1x60",
		`lsp_transfers_refused_total{namespace="a",container="image-proxy",door="images"}`:                                         "0x60",
		`lsp_image_objects{namespace="a",kind="License",state="valid"}`:                                                            "50x60",
		`lsp_image_objects{namespace="a",kind="License",state="invalid"}`:                                                          "0x60",
		`lsp_image_licenses_ending{namespace="a",within="14d"}`:                                                                    "0x60",
		`lsp_image_licenses_ending{namespace="a",within="7d"}`:                                                                     "0x60",
		`lsp_certificate_expires_timestamp_seconds{namespace="a",door="images"}`:                                                   "3000000x60",
		`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`:                                                      "3000000x60",
		`lsp_image_denials_total{namespace="a",app="",customer="",reason="unauthenticated"}`:                                       "0+100x60",
		`lsp_image_denials_total{namespace="a",app="",customer="",reason="unknown_license"}`:                                       "0+5x60",
		`lsp_image_denials_total{namespace="a",app="shop",customer="Acme",reason="revoked"}`:                                       "0+0.5x60",
		`lsp_cache_answers_total{namespace="a",kind="blob",result="hit"}`:                                                          "0+100x60",
		`lsp_cache_answers_total{namespace="a",kind="blob",result="stale"}`:                                                        "0x60",
		`lsp_cache_answers_total{namespace="a",kind="manifest",result="stale"}`:                                                    "0x60",
		// A damaged object now and then.
		`lsp_cache_storage_failures_total{namespace="a"}`: "0x10 1x20 2x30",
	}
}

// faults are what each alert is for: series that take the place of the usual ones, or come beside them, and the
// alerts that have to fire.
func faults() []struct {
	series map[string]string
	firing []string
} {
	return []struct {
		series map[string]string
		firing []string
	}{
		{nil, nil},
		{map[string]string{`up{namespace="tap-local-source-system",container="local-source-proxy"}`: "1x10 0x50"}, []string{"LocalSourceProxyDown"}},
		{map[string]string{`up{namespace="tap-local-source-system",container="image-proxy"}`: "1x10 _x50"}, []string{"ImageProxyDown"}},
		{
			map[string]string{`lsp_upstream_request_duration_seconds_count{namespace="a",container="image-proxy",operation="blob-get",status="0"}`: "0+10x60"},
			[]string{"LocalSourceProxyUpstreamFailing"},
		},
		{map[string]string{`lsp_token_fetches_total{namespace="a",container="image-proxy",result="refused"}`: "0+1x60"}, []string{"LocalSourceProxyTokensRefused"}},
		{map[string]string{`lsp_token_fetches_total{namespace="a",container="image-proxy",result="error"}`: "0+1x60"}, []string{"LocalSourceProxyTokensFailing"}},
		{
			map[string]string{`lsp_requests_total{namespace="a",door="source",operation="upload-start",status="403"}`: "0+1x60"},
			[]string{"LocalSourceProxyPushesDenied"},
		},
		{
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="values"}`: "1x10 0x50"},
			[]string{"LocalSourceProxySettingsRefused"},
		},
		{
			map[string]string{`lsp_requests_total{namespace="a",door="source",operation="manifest-put",status="403"}`: "0+1x60"},
			[]string{"LocalSourceProxyPushesDenied"},
		},
		{
			map[string]string{`lsp_requests_total{namespace="a",door="api",operation="upload-start",status="403"}`: "0+1x60"},
			[]string{"LocalSourceProxyPushesDenied"},
		},
		{
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="api_certificate"}`: "1x10 0x50"},
			[]string{"LocalSourceProxySettingsRefused"},
		},
		{
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="front_proxy"}`: "1x10 0x50"},
			[]string{"LocalSourceProxySettingsRefused"},
		},
		{ // it was mended
			map[string]string{`lsp_settings_in_force{namespace="a",container="local-source-proxy",settings="values"}`: "1x10 0x30 1x20"}, nil,
		},
		{map[string]string{`lsp_transfers_refused_total{namespace="a",container="image-proxy",door="images"}`: "0+1x60"}, []string{"LocalSourceProxyFull"}},
		{map[string]string{`lsp_requests_total{namespace="a",door="source",operation="upload-chunk",status="502"}`: "0+20x60"}, []string{"LocalSourceProxyErrors"}},
		{map[string]string{`lsp_image_objects{namespace="a",kind="ExternalRegistry",state="invalid"}`: "1x60"}, []string{"ImageProxyObjectsInvalid"}},
		{map[string]string{`lsp_image_licenses_ending{namespace="a",within="14d"}`: "2x60"}, []string{"ImageProxyLicensesEndWithin14d"}},
		{
			map[string]string{`lsp_image_licenses_ending{namespace="a",within="14d"}`: "2x60", `lsp_image_licenses_ending{namespace="a",within="7d"}`: "1x60"},
			[]string{"ImageProxyLicensesEndWithin14d", "ImageProxyLicensesEndWithin7d"},
		},
		{map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="images"}`: "1000000x60"}, []string{"ImageProxyCertificateEndsWithin14d"}},
		{
			map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="images"}`: "500000x60"},
			[]string{"ImageProxyCertificateEndsWithin14d", "ImageProxyCertificateEndsWithin7d"},
		},
		// One side's certificate is not the other's.
		{map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`: "1000000x60"}, []string{"LocalSourceProxyCertificateEndsWithin14d"}},
		{
			map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`: "500000x60"},
			[]string{"LocalSourceProxyCertificateEndsWithin14d", "LocalSourceProxyCertificateEndsWithin7d"},
		},
		{ // it was renewed
			map[string]string{`lsp_certificate_expires_timestamp_seconds{namespace="a",door="api"}`: "500000x30 8000000x30"}, nil,
		},
		{
			map[string]string{`lsp_image_denials_total{namespace="a",app="shop",customer="Acme",reason="upstream_refused"}`: "0+1x60"},
			[]string{"ImageProxyCredentialRefused"},
		},
		{map[string]string{`lsp_image_denials_total{namespace="a",app="",customer="",reason="unknown_license"}`: "0+20x60"}, []string{"ImageProxyLicensesGuessed"}},
		{map[string]string{`lsp_image_denials_total{namespace="a",app="shop",customer="Acme",reason="expired"}`: "0+4x60"}, []string{"ImageProxyCustomerDenied"}},
		{map[string]string{`lsp_cache_answers_total{namespace="a",kind="manifest",result="stale"}`: "0+1x60"}, []string{"ImageProxyCacheStale"}},
		{map[string]string{`lsp_cache_answers_total{namespace="a",kind="blob",result="stale"}`: "0+1x60"}, []string{"ImageProxyCacheStale"}},
		{ // the registry is back
			map[string]string{`lsp_cache_answers_total{namespace="a",kind="manifest",result="stale"}`: "0+1x20 20x40"}, nil,
		},
		{map[string]string{`lsp_cache_storage_failures_total{namespace="a"}`: "0+4x60"}, []string{"ImageProxyCacheFailing"}},
	}
}
