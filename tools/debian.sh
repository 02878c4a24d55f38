#!/bin/sh
# Install Debian packages where this machine lets us; say what is skipped where it does not.
missing=""
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "skipped 跳过: Debian packages$missing (no right to install here 无安装权限)"
    exit 0
fi
echo "installing Debian packages 安装系统软件包:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null 2>&1
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
    echo "skipped 跳过: could not install 无法安装$missing"
exit 0
