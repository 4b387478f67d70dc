// Owners of OpenSSL's objects, for this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/owned.h"

namespace fugo::daemon {

using OwnedBio = Owned<BIO, BIO_free_all>;
using OwnedCms = Owned<CMS_ContentInfo, CMS_ContentInfo_free>;
using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedX509 = Owned<X509, X509_free>;

}  // namespace fugo::daemon
