# shellcheck shell=bash
# An item is one installed program or set of files: $CACHE_DIR/items/NAME/KEY, where KEY is a digest of the version and
# all inputs. The folder is created by one rename when it is complete, so its existence proves completeness. Two
# checkouts that pin different versions can share a cache.

ITEMS_DIR=$CACHE_DIR/items
ARCH=$(uname -m)

declare -gA ITEM_PATH=()  # name -> its folder
declare -ga ITEM_ORDER=() # in order of declaration, which is the order on PATH

# item NAME INPUT...: declares an item; hash_of describes the inputs.
item() {
  local name=$1
  shift
  [[ -v ITEM_PATH[$name] ]] || ITEM_ORDER+=("$name")
  ITEM_PATH[$name]=$ITEMS_DIR/$name/$(hash_of "$ARCH" "$@")
}

item_ready() { [[ -d ${ITEM_PATH[$1]} ]]; }

# item_install NAME EXPECTED TITLE COMMAND...: COMMAND gets an empty folder to fill as its last argument. EXPECTED is
# the time it takes. Each item has its own lock: nothing waits for the build of something else.
item_install() {
  local name=$1 expected=$2 title=$3 path=${ITEM_PATH[$1]} part
  shift 3
  item_ready "$name" && return
  take_lock 9 "$CACHE_DIR/locks/$name" "installation of $title"
  if ! item_ready "$name"; then
    part=$path.part
    rm -rf "$part"
    mkdir -p "$part"
    step "$expected" "$title" "$@" "$part"
    mv "$part" "$path"
  fi
  release_lock 9
}
