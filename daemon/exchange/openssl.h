// Owners of OpenSSL's objects, for this folder.
#pragma once

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

namespace fugo::daemon {

template <auto release>
struct OpenSslRelease {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};
template <typename T, auto release>
using OpenSslOwned = std::unique_ptr<T, OpenSslRelease<release>>;

using OwnedBio = OpenSslOwned<BIO, BIO_free_all>;
using OwnedCms = OpenSslOwned<CMS_ContentInfo, CMS_ContentInfo_free>;
using OwnedKey = OpenSslOwned<EVP_PKEY, EVP_PKEY_free>;
using OwnedX509 = OpenSslOwned<X509, X509_free>;

}  // namespace fugo::daemon
