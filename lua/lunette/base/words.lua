-- Sets of words, written as a text with blanks between them: { word = true }.
return function(text)
  local set = {}
  for word in text:gmatch "%S+" do
    set[word] = true
  end
  return set
end
